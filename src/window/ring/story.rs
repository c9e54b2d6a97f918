//! What has happened in the ring, in words: found by comparing each picture with the one before. Layer 4, but without
//! widgets.

use std::rc::Rc;

use dtorrent::ring::picture::{Health, NodePicture};

use super::super::i18n::{tr, tr_n};
use super::facts;
use super::seen::Seen;
use super::shape::distance;

/// The story of one ring.
#[derive(Debug, Default)]
pub(crate) struct Story {
    last: Option<Rc<Seen>>,
    /// Copies were lost, and it was not told yet that they are back.
    owes_copies: bool,
}

impl Story {
    /// What is new in this picture, in order. Of the first one only how the ring is.
    pub(crate) fn go_on(&mut self, now: &Rc<Seen>) -> Vec<String> {
        let mut told = Vec::new();
        match self.last.replace(Rc::clone(now)) {
            None => {
                self.owes_copies = !facts::is_whole(now);
                let [nodes, _, health] = facts::summary(now);
                told.push(format!("{nodes}. {health}."));
            }
            Some(before) => {
                self.tell_goings(&before, now, &mut told);
                self.tell_comings(&before, now, &mut told);
                self.tell_copies(now, &mut told);
            }
        }
        told
    }

    fn tell_goings(&mut self, before: &Seen, now: &Seen, told: &mut Vec<String>) {
        for node in before.nodes.iter().filter(|node| node.health.is_heard()) {
            let after = now.find(&node.id);
            let address = facts::address(node);
            let news = match after.map(|after| after.health) {
                Some(health) if health.is_heard() => continue,
                Some(Health::Left) => tr!("{node} has left.", node = address),
                _ => tr!("{node} does not answer any more.", node = address),
            };
            told.push(news);
            self.owes_copies |= facts::has_arc(node);
            if let Some(heir) = heir(now, node.place).filter(|_| facts::has_arc(node)) {
                told.push(tr!("{node} owns its arc now.", node = facts::address(heir)));
            }
        }
    }

    fn tell_comings(&mut self, before: &Seen, now: &Seen, told: &mut Vec<String>) {
        for node in now.nodes.iter().filter(|node| node.health.is_heard()) {
            let old = before.find(&node.id).filter(|old| old.health.is_heard());
            let address = facts::address(node);
            if old.is_none() && !facts::has_arc(node) {
                told.push(tr!("{node} is joining.", node = address));
            }
            if facts::has_arc(node) && !old.is_some_and(facts::has_arc) {
                self.owes_copies = true;
                told.push(tr!(
                    "{node} owns {share} of the ring now.",
                    node = address,
                    share = facts::share(node)
                ));
            }
            if node.health == Health::Leaving && old.is_some_and(|old| old.health != Health::Leaving) {
                told.push(tr!("{node} hands over what it keeps, to leave.", node = address));
            }
        }
    }

    fn tell_copies(&mut self, now: &Seen, told: &mut Vec<String>) {
        if !facts::is_whole(now) {
            if !std::mem::replace(&mut self.owes_copies, true) || !told.is_empty() {
                told.push(format!("{}.", facts::health(now)));
            }
        } else if std::mem::take(&mut self.owes_copies) {
            let wanted = now.nodes.iter().map(|node| node.copies_wanted).max();
            told.push(tr_n!(
                wanted.unwrap_or_default() as u64,
                "All copies are there: everything is on {n} node.",
                "All copies are there: everything is on {n} nodes."
            ));
        }
    }
}

/// Who owns this place.
fn heir(picture: &Seen, place: f64) -> Option<&NodePicture> {
    let owners = picture.nodes.iter().filter(|node| facts::has_arc(node));
    owners.min_by(|one, other| distance(place, one.place).total_cmp(&distance(place, other.place)))
}

#[cfg(test)]
mod tests {
    use dtorrent::ring::picture::Picture;

    use super::super::sample::{node, picture, seen};
    use super::*;

    #[test]
    fn a_death_is_told_to_its_end() {
        let mut story = Story::default();
        let tell = |story: &mut Story, picture: &Picture| story.go_on(&seen(picture));
        let whole = picture(&[0.1, 0.3, 0.5, 0.7, 0.9]);
        assert_eq!(tell(&mut story, &whole), ["5 nodes. Everything is on 3 nodes."]);
        assert!(tell(&mut story, &whole).is_empty());

        let dead = NodePicture {
            health: Health::Silent,
            ..node(0.3, 0.1)
        };
        let mut after = picture(&[0.1, 0.5, 0.7, 0.9]);
        after.nodes.push(dead);
        after.nodes[1].copies[1].complete = false;
        after.nodes[1].health = Health::Short;
        let expected = [
            "127.0.0.1:7030 does not answer any more.",
            "127.0.0.1:7050 owns its arc now.",
            "Copies complete for 3 of 4 nodes.",
        ];
        assert_eq!(tell(&mut story, &after), expected);
        assert!(tell(&mut story, &after).is_empty());
        after.nodes[1].copies[1].complete = true;
        after.nodes[1].health = Health::Serving;
        assert_eq!(
            tell(&mut story, &after),
            ["All copies are there: everything is on 3 nodes."]
        );
    }

    #[test]
    fn who_comes_is_told_when_it_has_its_arc() {
        let mut story = Story::default();
        let mut ring = picture(&[0.1, 0.5, 0.9]);
        story.go_on(&seen(&ring));
        ring.nodes.push(NodePicture {
            health: Health::Joining,
            arc: None,
            ..node(0.3, 0.1)
        });
        assert_eq!(story.go_on(&seen(&ring)), ["127.0.0.1:7030 is joining."]);
        let told = story.go_on(&seen(&picture(&[0.1, 0.3, 0.5, 0.9])));
        assert_eq!(
            told,
            [
                "127.0.0.1:7030 owns 20.0 % of the ring now.",
                "All copies are there: everything is on 3 nodes."
            ]
        );
    }
}
