//! What the window of the ring shows of each look. Layer 4.

use std::rc::Rc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::ring::picture::Route;
use gtk::glib;

use super::super::columns;
use super::super::i18n::{tr, tr_n};
use super::super::property_row::PropertyRow;
use super::super::row_object::RowObject;
use super::super::words;
use super::circle::Scene;
use super::facts;
use super::node_object::{RingNodeObject, Row};
use super::ring_window::RingWindow;
use super::seen::Seen;
use super::watch::Look;

/// Most events that are shown, the latest first.
const MAX_EVENTS: i32 = 100;

/// What tells nodes apart in the table: most of the id.
fn key(id: &str) -> u128 {
    id.get(..32)
        .and_then(|digits| u128::from_str_radix(digits, 16).ok())
        .unwrap_or_default()
}

/// What stands before a step: its number, or that it is a copy.
fn prefix(step: &facts::Step) -> gtk::Widget {
    let Some(number) = step.number else {
        let icon = gtk::Image::builder()
            .icon_name("edit-copy-symbolic")
            .accessible_role(gtk::AccessibleRole::Presentation)
            .width_request(22)
            .build();
        return icon.upcast();
    };
    let badge = gtk::Label::builder()
        .label(number.to_string())
        .valign(gtk::Align::Center)
        .build();
    badge.add_css_class("ring-step");
    badge.upcast()
}

impl RingWindow {
    pub(super) fn show_look(&self, look: Look) {
        let imp = self.imp();
        let mut problems = Vec::new();
        let first = look.wish.address.as_ref();
        match look.picture {
            Ok(picture) => {
                let picture = Rc::new(picture);
                let news = imp.told.borrow_mut().go_on(&picture);
                self.tell(&news);
                if picture.left_out > 0 {
                    problems.push(tr_n!(
                        picture.left_out as u64,
                        "{n} more node is told of and not shown.",
                        "{n} more nodes are told of and not shown."
                    ));
                }
                imp.picture.replace(Some(picture));
                if let Some(first) = first.filter(|first| **first != look.asked) {
                    problems.push(tr!(
                        "{first} does not answer, so {other} of the same ring is asked.",
                        first = first,
                        other = look.asked
                    ));
                }
            }
            Err(problem) if imp.picture.borrow().is_some() => {
                problems.push(words::told(&problem));
                problems.push(tr!("The picture is the last that was seen."));
                if look.next != look.asked {
                    problems.push(tr!("{node} is asked now.", node = look.next));
                }
            }
            Err(problem) => problems.push(words::told(&problem)),
        }
        match look.route {
            Some(Ok(route)) => drop(imp.route.replace(Some(route))),
            Some(Err(problem)) => problems.push(words::told(&problem)),
            None => {}
        }
        let problems = problems.join(" ");
        self.show_problem(Some(problems.as_str()).filter(|text| !text.is_empty()));
        self.show_ring();
    }

    /// Adds what has happened on top of the list.
    fn tell(&self, news: &[String]) {
        let imp = self.imp();
        let now = glib::DateTime::now_local().and_then(|now| now.format("%X"));
        let now = now.unwrap_or_default();
        for event in news {
            log::debug!("the ring that is watched: {event}");
            let row = adw::ActionRow::builder()
                .title(&*glib::markup_escape_text(event))
                .title_lines(0)
                .subtitle(&*now)
                .build();
            imp.story.prepend(&row);
        }
        while let Some(old) = imp.story.row_at_index(MAX_EVENTS) {
            imp.story.remove(&old);
        }
    }

    /// Shows what is known of the ring now.
    pub(super) fn show_ring(&self) {
        let imp = self.imp();
        let picture = imp.picture.borrow().clone();
        let route = imp.route.borrow().clone();
        let is_there = picture.is_some();
        if !is_there {
            self.explain_emptiness();
        }
        imp.pages
            .set_visible_child_name(if is_there { "ring" } else { "empty" });
        imp.torrent_group.set_visible(is_there);
        imp.story_group.set_visible(is_there);
        let torrent = route.as_ref().map(|route| self.name_of(&route.info_hash));
        imp.circle.show(Scene {
            picture: picture.clone(),
            route: route.clone(),
            torrent: torrent.unwrap_or_default(),
        });
        self.show_table(picture.as_deref(), route.as_deref());
        self.show_way(route.as_deref());
        self.show_node();
    }

    fn explain_emptiness(&self) {
        let imp = self.imp();
        let is_wanted = imp.wish.borrow().address.is_some();
        let text = match is_wanted {
            true => tr!("Asking the node…"),
            false if imp.own.borrow().is_some() => tr!("The tracker in this computer is starting."),
            false => tr!(
                "Make this computer a tracker, or give the address of a node of any ring, such as 192.0.2.7:6969."
            ),
        };
        imp.empty.set_description(Some(&text));
    }

    fn show_table(&self, picture: Option<&Seen>, route: Option<&Route>) {
        let imp = self.imp();
        let rows: Vec<Row> = picture
            .into_iter()
            .flat_map(|picture| picture.nodes.iter().map(move |node| (picture, node)))
            .map(|(picture, node)| Row {
                node: node.clone(),
                state: facts::state(picture, node),
                copies: facts::copies(picture, node),
                part: route
                    .and_then(|route| facts::part(route, &node.id))
                    .unwrap_or_default(),
            })
            .collect();
        let mut rows: Vec<&Row> = rows.iter().collect();
        columns::sort(&imp.table, &mut rows);
        imp.is_filling.set(true);
        imp.nodes.borrow_mut().sync(
            &rows,
            |row| key(&row.node.id),
            |row| RingNodeObject::new(row),
            |object, row| object.update(row),
        );
        imp.is_filling.set(false);
        self.choose_in_table();
    }

    pub(super) fn choose_in_table(&self) {
        let imp = self.imp();
        let Some(chosen) = imp.chosen.get() else { return };
        let wanted = imp.circle.selected();
        let is_it = |object: glib::Object| {
            let node = object.downcast_ref::<RingNodeObject>();
            node.is_some_and(|node| node.with(|row| row.node.id == wanted))
        };
        let at = chosen
            .iter::<glib::Object>()
            .position(|object| object.is_ok_and(is_it));
        let at = at.map_or(gtk::INVALID_LIST_POSITION, |at| at as u32);
        if chosen.selected() != at {
            imp.is_filling.set(true);
            chosen.set_selected(at);
            imp.is_filling.set(false);
        }
    }

    fn show_way(&self, route: Option<&Route>) {
        let imp = self.imp();
        let steps = route.map(facts::steps).unwrap_or_default();
        imp.way.set_visible(!steps.is_empty());
        if *imp.shown_way.borrow() == steps {
            return;
        }
        while let Some(row) = imp.way.first_child() {
            imp.way.remove(&row);
        }
        for step in &steps {
            let row = adw::ActionRow::builder()
                .title(&step.what)
                .subtitle(&*glib::markup_escape_text(&step.address))
                .activatable(true)
                .build();
            row.add_prefix(&prefix(step));
            imp.way.append(&row);
        }
        imp.shown_way.replace(steps);
    }

    /// Shows the facts of the chosen node.
    pub(super) fn show_node(&self) {
        let imp = self.imp();
        let picture = imp.picture.borrow().clone();
        let route = imp.route.borrow().clone();
        let selected = imp.circle.selected();
        let node = picture
            .as_deref()
            .and_then(|picture| Some((picture, picture.find(&selected)?)));
        imp.node_group.set_visible(node.is_some());
        let Some((picture, node)) = node else { return };
        let legend = facts::has_arc(node).then(|| tr!("Lines: ━ successors  ╍ fingers  ··· predecessor"));
        if imp.node_group.description().map(String::from) != legend {
            imp.node_group.set_description(legend.as_deref());
        }
        let title = tr!("Node {id}", id = facts::short(&node.id));
        if imp.node_group.title() != title {
            imp.node_group.set_title(&title);
        }
        let known = facts::facts(picture, node, route.as_deref());
        let mut rows = imp.fact_rows.borrow_mut();
        while rows.len() < known.len() {
            let row = PropertyRow::default();
            imp.facts.append(&row);
            rows.push(row);
        }
        for (at, row) in rows.iter().enumerate() {
            row.set_visible(at < known.len());
            if let Some((title, value)) = known.get(at) {
                row.set_title(title);
                row.set_value(value);
            }
        }
    }
}
