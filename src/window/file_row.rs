//! A file or folder in the tree of a torrent's files, `ui/file_row.ui`. Layer 4.

use std::cell::{OnceCell, RefCell};

use dtorrent::engine::api::Priority;
use gtk::glib::variant::{FromVariant, ToVariant};
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gio, glib};

use super::file_node::FileNode;
use super::template::{bind, template_class};
use super::words;

/// Called with the node and the priority that a person chose for it.
type OnPriority = Box<dyn Fn(&FileNode, Priority)>;

const PRIORITIES: [Priority; 4] = [Priority::High, Priority::Normal, Priority::Low, Priority::Skip];

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/file_row.ui")]
    pub(crate) struct FileRow {
        #[template_child]
        pub(super) expander: TemplateChild<gtk::TreeExpander>,
        #[template_child]
        icon: TemplateChild<gtk::Image>,
        #[template_child]
        name: TemplateChild<gtk::Label>,
        #[template_child]
        status: TemplateChild<gtk::Label>,
        #[template_child]
        priority: TemplateChild<gtk::MenuButton>,
        bindings: glib::BindingGroup,
        pub(super) node: RefCell<Option<FileNode>>,
        pub(super) on_priority: OnceCell<OnPriority>,
    }

    template_class!(FileRow is "DtFileRow", a gtk::Box, then set_up);

    impl BoxImpl for FileRow {}

    impl FileRow {
        fn set_up(&self) {
            let name = self.name.upcast_ref();
            let shown = [
                ("name", name, "label"),
                ("name", name, "tooltip-text"),
                ("status", self.status.upcast_ref(), "label"),
                ("priority", self.priority.upcast_ref(), "label"),
            ];
            bind(&self.bindings, &shown);
            self.add_actions();
        }

        pub(super) fn set_source(&self, node: Option<&FileNode>) {
            self.bindings.set_source(node);
            if let Some(node) = node {
                let folder = node.is_folder();
                self.icon.set_icon_name(Some(if folder {
                    "folder-symbolic"
                } else {
                    "text-x-generic-symbolic"
                }));
                let label = format!("Priority of {}", node.name());
                self.priority
                    .update_property(&[gtk::accessible::Property::Label(&label)]);
            }
            self.node.replace(node.cloned());
        }

        /// The menu of the row: one choice of four, the present one marked.
        fn add_actions(&self) {
            let text = glib::VariantTy::STRING;
            let action = gio::SimpleAction::new_stateful("priority", Some(text), &"".to_variant());
            let row = self.obj().downgrade();
            action.connect_activate(move |_, chosen| {
                let chosen = chosen.and_then(String::from_variant);
                let priority = PRIORITIES
                    .into_iter()
                    .find(|&each| Some(words::priority(each)) == chosen.as_deref());
                if let (Some(row), Some(priority)) = (row.upgrade(), priority) {
                    row.imp().choose(priority);
                }
            });
            self.bindings
                .bind("priority", &action, "state")
                .transform_to(|_, chosen: String| Some(chosen.to_variant()))
                .build();
            let group = gio::SimpleActionGroup::new();
            group.add_action(&action);
            self.obj().insert_action_group("file", Some(&group));

            let menu = gio::Menu::new();
            for priority in PRIORITIES.map(words::priority) {
                let item = gio::MenuItem::new(Some(priority), None);
                item.set_action_and_target_value(Some("file.priority"), Some(&priority.to_variant()));
                menu.append_item(&item);
            }
            self.priority.set_menu_model(Some(&menu));
        }

        fn choose(&self, priority: Priority) {
            if let (Some(node), Some(on_priority)) = (&*self.node.borrow(), self.on_priority.get()) {
                on_priority(node, priority);
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
    pub(crate) fn new(on_priority: impl Fn(&FileNode, Priority) + 'static) -> Self {
        let row: Self = glib::Object::new();
        // A row that was just made has no callback yet.
        let _ = row.imp().on_priority.set(Box::new(on_priority));
        row
    }

    /// Shows this row of the tree from now on; `None` when it is put away.
    pub(crate) fn set_tree_row(&self, row: Option<&gtk::TreeListRow>) {
        self.imp().expander.set_list_row(row);
        let node = row.and_then(gtk::TreeListRow::item).and_downcast::<FileNode>();
        self.imp().set_source(node.as_ref());
    }
}
