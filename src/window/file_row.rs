//! A file or folder in a tree of them, `ui/file_row.ui`: in the details of a torrent, and before it is added. Layer 4.

use std::cell::{Cell, OnceCell, RefCell};

use dtorrent::engine::api::Priority;
use gtk::glib::variant::{FromVariant, ToVariant};
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gio, glib};

use super::file_nodes::FileNode;
use super::i18n::tr;
use super::template::{bind, bind_visible, template_class};
use super::{tips, words};

/// What a person wants of a file, or of all files of a folder.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice {
    /// It, or nothing of it.
    Wanted(bool),
    Priority(Priority),
}

/// Called with the node and what a person chose for it.
type OnChoice = Box<dyn Fn(&FileNode, Choice)>;

/// The last one is no choice where a mark says what is wanted, and the menu is there for the rest.
const PRIORITIES: [Priority; 4] = [Priority::High, Priority::Normal, Priority::Low, Priority::Skip];

/// A choice of all priorities that runs this action, whose target is the id of one.
pub(crate) fn priority_menu(action: &str) -> gio::Menu {
    menu_of(&PRIORITIES, action)
}

fn menu_of(priorities: &[Priority], action: &str) -> gio::Menu {
    let menu = gio::Menu::new();
    for &priority in priorities {
        let item = gio::MenuItem::new(Some(&words::priority(priority)), None);
        item.set_action_and_target_value(Some(action), Some(&id_of(priority).to_variant()));
        menu.append_item(&item);
    }
    menu
}

/// What actions call a priority, in whatever language people do.
const fn id_of(priority: Priority) -> &'static str {
    match priority {
        Priority::Skip => "skip",
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    }
}

/// The priority that an action means.
pub(crate) fn priority_called(id: Option<&glib::Variant>) -> Option<Priority> {
    let id = id.and_then(String::from_variant)?;
    PRIORITIES.into_iter().find(|&each| id_of(each) == id)
}

fn name_control(control: &impl IsA<gtk::Accessible>, label: &str) {
    control.update_property(&[gtk::accessible::Property::Label(label)]);
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/file_row.ui")]
    pub(crate) struct FileRow {
        #[template_child]
        pub(super) expander: TemplateChild<gtk::TreeExpander>,
        #[template_child]
        check: TemplateChild<gtk::CheckButton>,
        #[template_child]
        icon: TemplateChild<gtk::Image>,
        #[template_child]
        name: TemplateChild<gtk::Label>,
        #[template_child]
        status: TemplateChild<gtk::Label>,
        #[template_child]
        progress: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        priority: TemplateChild<gtk::MenuButton>,
        bindings: glib::BindingGroup,
        /// It is not a file of the list yet: there is no progress to show.
        is_offer: Cell<bool>,
        pub(super) node: RefCell<Option<FileNode>>,
        pub(super) on_choice: OnceCell<OnChoice>,
    }

    template_class!(FileRow is "DtFileRow", a gtk::Box, then set_up);

    impl BoxImpl for FileRow {}

    impl FileRow {
        fn set_up(&self) {
            let name = self.name.upcast_ref();
            let shown = [
                ("name", name, "label"),
                ("status", self.status.upcast_ref(), "label"),
                ("fraction", self.progress.upcast_ref(), "fraction"),
                ("priority", self.priority.upcast_ref(), "label"),
                ("whole", self.check.upcast_ref(), "active"),
                ("partly", self.check.upcast_ref(), "inconsistent"),
            ];
            bind(&self.bindings, &shown);
            tips::show_whole(&self.name);
            bind_visible(&self.bindings, &[("priority", self.priority.upcast_ref())]);
            self.add_actions();
            let row = self.obj().downgrade();
            self.check.connect_toggled(move |_| {
                row.upgrade().inspect(|row| row.imp().toggled());
            });
        }

        /// The mark was set or taken off: by a person, unless it says what the node says.
        fn toggled(&self) {
            let node = self.node.borrow().clone();
            let Some(node) = node.filter(|node| node.whole() != self.check.is_active()) else {
                return;
            };
            // A folder of which something is wanted becomes wanted as a whole, and then not at all.
            let choice = Choice::Wanted(self.check.is_active());
            // It is somebody else who says what is wanted; until he has, nothing has changed.
            self.check.set_active(node.whole());
            self.choose(choice);
        }

        /// Makes it the row of a file that may be added.
        pub(super) fn be_offer(&self) {
            self.is_offer.set(true);
            self.progress.set_visible(false);
            self.check.set_tooltip_text(None);
        }

        pub(super) fn set_source(&self, node: Option<&FileNode>) {
            // The mark is set anew: that is not a person's doing.
            self.node.replace(None);
            self.bindings.set_source(node);
            if let Some(node) = node {
                let folder = node.is_folder();
                self.icon.set_icon_name(Some(if folder {
                    "folder-symbolic"
                } else {
                    "text-x-generic-symbolic"
                }));
                let name = node.name();
                name_control(&*self.expander, &name);
                name_control(&*self.priority, &tr!("Priority of {name}", name = name));
                name_control(&*self.check, &tr!("Download {name}", name = name));
                name_control(&*self.progress, &tr!("Progress of {name}", name = name));
            }
            self.node.replace(node.cloned());
        }

        /// The menu of the row: one choice of four, the present one marked.
        fn add_actions(&self) {
            let text = glib::VariantTy::STRING;
            let action = gio::SimpleAction::new_stateful("priority", Some(text), &"".to_variant());
            let row = self.obj().downgrade();
            action.connect_activate(move |_, chosen| {
                if let (Some(row), Some(priority)) = (row.upgrade(), priority_called(chosen)) {
                    row.imp().choose(Choice::Priority(priority));
                }
            });
            self.bindings
                .bind("priority", &action, "state")
                .transform_to(|_, shown: String| {
                    let chosen = PRIORITIES
                        .into_iter()
                        .find(|&each| words::priority(each) == shown);
                    Some(chosen.map_or("", id_of).to_variant())
                })
                .build();
            let group = gio::SimpleActionGroup::new();
            group.add_action(&action);
            self.obj().insert_action_group("file", Some(&group));
            // Of hundreds of rows hardly any is asked for its menu.
            let row = self.obj().downgrade();
            self.priority.set_create_popup_func(move |button| {
                let Some(row) = row.upgrade().filter(|_| button.menu_model().is_none()) else {
                    return;
                };
                let priorities = match row.imp().is_offer.get() {
                    true => &PRIORITIES[..3],
                    false => &PRIORITIES[..],
                };
                button.set_menu_model(Some(&menu_of(priorities, "file.priority")));
            });
        }

        pub(super) fn choose(&self, choice: Choice) {
            let node = self.node.borrow().clone();
            if let (Some(node), Some(on_choice)) = (node, self.on_choice.get()) {
                on_choice(&node, choice);
            }
        }
    }
}

glib::wrapper! {
    pub(crate) struct FileRow(ObjectSubclass<imp::FileRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl FileRow {
    /// A row of a torrent of the list.
    pub(crate) fn new(on_choice: impl Fn(&FileNode, Choice) + 'static) -> Self {
        let row: Self = glib::Object::new();
        // A row that was just made has no callback yet.
        let _ = row.imp().on_choice.set(Box::new(on_choice));
        row
    }

    /// A row of a torrent that may be added.
    pub(crate) fn offer(on_choice: impl Fn(&FileNode, Choice) + 'static) -> Self {
        let row = Self::new(on_choice);
        row.imp().be_offer();
        row
    }

    /// The row that has the keyboard as a whole, and no part of it in particular.
    pub(crate) fn of_focus(focus: &gtk::Widget) -> Option<Self> {
        match focus.is::<gtk::TreeExpander>() {
            true => focus.ancestor(Self::static_type()).and_downcast(),
            false => focus.first_child().and_downcast(),
        }
    }

    /// Wants what is shown, or wants it no more.
    pub(crate) fn toggle(&self) {
        let node = self.imp().node.borrow().clone();
        node.inspect(|node| self.imp().choose(Choice::Wanted(!node.whole())));
    }

    /// The row of the tree that is shown.
    pub(crate) fn tree_row(&self) -> Option<gtk::TreeListRow> {
        self.imp().expander.list_row()
    }

    /// Shows this row of the tree from now on; `None` when it is put away.
    pub(crate) fn set_tree_row(&self, row: Option<&gtk::TreeListRow>) {
        self.imp().expander.set_list_row(row);
        let node = row.and_then(gtk::TreeListRow::item).and_downcast::<FileNode>();
        self.imp().set_source(node.as_ref());
    }
}
