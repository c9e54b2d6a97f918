//! The limits of one torrent, `ui/limits_choice.ui`, and the question it is part of. Layer 4.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::config::TransferConfig;
use dtorrent::engine::api::{SeedLimit, TorrentSummary};
use dtorrent::ratio::RatioLimit;
use gtk::glib;

use super::i18n::{tr, tr_n};
use super::question;
use super::template::template_class;
use super::words;

/// Limits, of speeds in KiB/s; 0: none. `None`: not the same for all torrents, or none of theirs is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) download_kib: Option<u64>,
    pub(crate) upload_kib: Option<u64>,
    pub(crate) seed_limit: Option<SeedLimit>,
}

// The choices of when it stops seeding, in their order.
const AS_SET: u32 = 0;
const AT_RATIO: u32 = 1;
const NEVER: u32 = 2;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/limits_choice.ui")]
    pub(crate) struct LimitsChoice {
        #[template_child]
        pub(super) download: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub(super) upload: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub(super) seeding: TemplateChild<gtk::DropDown>,
        #[template_child]
        pub(super) seeding_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(super) ratio_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(super) ratio: TemplateChild<gtk::SpinButton>,
        pub(super) first: Cell<Option<Limits>>,
    }

    template_class!(LimitsChoice is "DtLimitsChoice", a gtk::Box);

    impl BoxImpl for LimitsChoice {}
}

glib::wrapper! {
    pub(crate) struct LimitsChoice(ObjectSubclass<imp::LimitsChoice>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl LimitsChoice {
    fn new(limits: Limits, settings: &TransferConfig) -> Self {
        let choice: Self = glib::Object::new();
        choice.imp().first.set(Some(limits));
        let shown = [
            (&choice.imp().download, limits.download_kib),
            (&choice.imp().upload, limits.upload_kib),
        ];
        for (button, kib) in shown {
            let Some(text) = button.delegate().and_downcast::<gtk::Text>() else {
                continue;
            };
            // Return sets the limits, as in any other entry.
            text.set_activates_default(true);
            match kib {
                Some(kib) => button.set_value(kib as f64),
                None => show_difference(button, &text),
            }
        }
        choice.show_seed_limit(limits.seed_limit, settings);
        choice
    }

    fn show_seed_limit(&self, limit: Option<SeedLimit>, settings: &TransferConfig) {
        let imp = self.imp();
        let different = limit.is_none().then(|| tr!("different"));
        let words: Vec<_> = [tr!("As set"), tr!("At a ratio"), tr!("Never")]
            .into_iter()
            .chain(different)
            .collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        imp.seeding.set_model(Some(&gtk::StringList::new(&words)));
        imp.seeding.set_selected(match limit {
            Some(SeedLimit::AsSet) => AS_SET,
            Some(SeedLimit::Ratio(_)) => AT_RATIO,
            Some(SeedLimit::Never) => NEVER,
            // The last one.
            None => NEVER + 1,
        });
        if let Some(SeedLimit::Ratio(ratio)) = limit {
            imp.ratio.set_value(ratio.get());
        }
        if let Some(text) = imp.ratio.delegate().and_downcast::<gtk::Text>() {
            text.set_activates_default(true);
        }
        let by_settings = words::seed_rules(settings);
        let besides = words::idle_rule(settings)
            .map(|rule| tr!("Or {rule}, by the preferences", rule = rule))
            .unwrap_or_default();
        let choice = self.downgrade();
        let show_choice = move |seeding: &gtk::DropDown| {
            let Some(choice) = choice.upgrade() else {
                return;
            };
            let imp = choice.imp();
            imp.ratio_row.set_visible(seeding.selected() == AT_RATIO);
            imp.seeding_row.set_subtitle(match seeding.selected() {
                AS_SET => &by_settings,
                AT_RATIO => &besides,
                _ => "",
            });
        };
        show_choice(&imp.seeding);
        imp.seeding.connect_selected_notify(show_choice);
    }

    fn chosen_seed_limit(&self) -> Option<SeedLimit> {
        let imp = self.imp();
        match imp.seeding.selected() {
            AS_SET => Some(SeedLimit::AsSet),
            AT_RATIO => {
                imp.ratio.update();
                RatioLimit::new(imp.ratio.value()).map(SeedLimit::Ratio)
            }
            NEVER => Some(SeedLimit::Never),
            _ => None,
        }
    }

    /// What was touched, and nothing else.
    fn chosen(&self) -> Limits {
        let kib = |button: &gtk::SpinButton| {
            // What was typed and not yet left counts as well.
            let typed = button.text();
            button.update();
            // A negative value is out of the button's range.
            (!typed.is_empty()).then_some(button.value() as u64)
        };
        let imp = self.imp();
        let first = imp.first.get();
        let changed = |now: Option<u64>, first: Option<u64>| now.filter(|_| now != first);
        Limits {
            download_kib: changed(kib(&imp.download), first.and_then(|first| first.download_kib)),
            upload_kib: changed(kib(&imp.upload), first.and_then(|first| first.upload_kib)),
            seed_limit: (self.chosen_seed_limit())
                .filter(|limit| first.and_then(|first| first.seed_limit) != Some(*limit)),
        }
    }
}

/// Says that there is no one value, until somebody gives one.
fn show_difference(button: &gtk::SpinButton, text: &gtk::Text) {
    text.set_placeholder_text(Some(&tr!("different")));
    button.update_property(&[gtk::accessible::Property::Description(&tr!("different"))]);
    // The button would write its 0, which nobody has typed.
    let is_typed = Rc::new(Cell::new(false));
    let typed = Rc::clone(&is_typed);
    button.connect_changed(move |button| typed.set(!button.text().is_empty()));
    button.connect_output(move |button| match is_typed.get() || button.value() > 0.0 {
        true => glib::Propagation::Proceed,
        false => glib::Propagation::Stop,
    });
    button.set_text("");
}

/// Asks for the limits of torrents, beginning with those that all of them have now; `None`: they stay. `settings` are those
/// of all torrents.
pub(crate) async fn ask(
    parent: &impl IsA<gtk::Window>,
    torrents: &[Arc<TorrentSummary>],
    settings: &TransferConfig,
) -> Option<Limits> {
    let choice = LimitsChoice::new(present(torrents), settings);
    let (heading, body) = match torrents {
        [torrent] => (
            tr!("Limit This Torrent"),
            tr!(
                "“{name}” gets no more than this, and no more than the limits of all torrents leave. 0 means no limit.",
                name = torrent.name
            ),
        ),
        torrents => (
            tr!("Limit These Torrents"),
            tr_n!(
                torrents.len() as u64,
                "{n} torrent gets no more than this, and no more than the limits of all torrents leave. 0 means no limit.",
                "Each of {n} torrents gets no more than this, and no more than the limits of all torrents leave. \
                 0 means no limit."
            ),
        ),
    };
    let dialog = adw::MessageDialog::builder()
        .transient_for(parent)
        .modal(true)
        .heading(heading)
        .body(body)
        .extra_child(&choice)
        .build();
    GtkWindowExt::set_focus(&dialog, Some(&*choice.imp().download));
    question::ask(&dialog, &tr!("_Set"), adw::ResponseAppearance::Suggested)
        .await
        .then(|| choice.chosen())
}

/// The limits that all of them have.
fn present(torrents: &[Arc<TorrentSummary>]) -> Limits {
    Limits {
        download_kib: common(torrents, |torrent| torrent.download_limit_kib),
        upload_kib: common(torrents, |torrent| torrent.upload_limit_kib),
        seed_limit: common(torrents, |torrent| torrent.seed_limit),
    }
}

fn common<T: Default + PartialEq>(
    torrents: &[Arc<TorrentSummary>],
    of: fn(&TorrentSummary) -> T,
) -> Option<T> {
    let first = torrents.first().map_or_else(T::default, |torrent| of(torrent));
    let is_common = torrents.iter().all(|torrent| of(torrent) == first);
    is_common.then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtorrent::engine::api::TorrentState;
    use dtorrent::id::InfoHash;

    #[test]
    fn a_limit_that_all_have_is_shown() {
        let torrent = |download_limit_kib, upload_limit_kib| {
            Arc::new(TorrentSummary {
                download_limit_kib,
                upload_limit_kib,
                ..TorrentSummary::new(InfoHash::new([0; 20]), "name", TorrentState::Paused)
            })
        };
        let (download_kib, upload_kib) = (Some(7), None);
        assert_eq!(
            present(&[torrent(7, 1), torrent(7, 2)]),
            Limits {
                download_kib,
                upload_kib,
                seed_limit: Some(SeedLimit::AsSet),
            }
        );
    }
}
