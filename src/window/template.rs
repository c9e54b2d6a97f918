//! What all widgets with a template in `ui/` have in common. Layer 4.

use std::path::Path;

use gtk::prelude::*;
use gtk::{gio, glib};

/// The class of a widget with a template, from its template to its end. Goes into the module that holds the
/// struct. Types that the template names must be known before, so they follow `with`; a method of the struct
/// that runs once for each new widget follows `then`. A class that derives its properties says so, and brings its
/// `WidgetImpl`.
macro_rules! template_class {
    ($class:ident is $name:literal, a $parent:ty, its properties) => {
        template_class!(@class $class is $name, a $parent);

        #[glib::derived_properties]
        impl ObjectImpl for $class {
            fn dispose(&self) {
                self.dispose_template();
            }
        }
    };
    ($class:ident is $name:literal, a $parent:ty $(, with $child:ty)* $(, then $set_up:ident)?) => {
        template_class!(@class $class is $name, a $parent $(, with $child)*);

        impl ObjectImpl for $class {
            fn constructed(&self) {
                self.parent_constructed();
                $(self.$set_up();)?
            }

            fn dispose(&self) {
                self.dispose_template();
            }
        }

        impl WidgetImpl for $class {}
    };
    (@class $class:ident is $name:literal, a $parent:ty $(, with $child:ty)*) => {
        #[glib::object_subclass]
        impl ObjectSubclass for $class {
            const NAME: &'static str = $name;
            type Type = super::$class;
            type ParentType = $parent;

            fn class_init(class: &mut Self::Class) {
                $(<$child>::ensure_type();)*
                class.bind_template();
            }

            fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
                object.init_template();
            }
        }
    };
}
pub(super) use template_class;

/// Closes a window by keys, named as GTK's triggers are: `Escape|<Control>w`.
pub(super) fn close_by(window: &impl IsA<gtk::Widget>, keys: &str) {
    let shortcuts = gtk::ShortcutController::new();
    let close = gtk::NamedAction::new("window.close");
    shortcuts.add_shortcut(gtk::Shortcut::new(
        gtk::ShortcutTrigger::parse_string(keys),
        Some(close),
    ));
    window.add_controller(shortcuts);
}

/// Shows a bar of tabs while the header bar has no room for them.
///
/// That turns out in the middle of a layout. A bar that appears at once, as it does without animations, gets no height in
/// that one, and GTK complains of each of its parts; so it appears after it.
pub(super) fn reveal_for_want_of_room(title: &adw::ViewSwitcherTitle, bar: &adw::ViewSwitcherBar) {
    let bar = bar.downgrade();
    let follow = move |title: &adw::ViewSwitcherTitle| {
        let (title, bar) = (title.downgrade(), bar.clone());
        glib::idle_add_local_once(move || {
            if let (Some(title), Some(bar)) = (title.upgrade(), bar.upgrade()) {
                bar.set_reveal(title.is_title_visible());
            }
        });
    };
    follow(title);
    title.connect_title_visible_notify(follow);
}

/// Has the desktop show a file or folder with the program that is there for it. `widget` is on the screen on which that
/// shall be.
pub(super) async fn launch(widget: &impl IsA<gtk::Widget>, file: &gio::File) -> Result<(), glib::Error> {
    let context = WidgetExt::display(widget).app_launch_context();
    gio::AppInfo::launch_default_for_uri_future(&file.uri(), Some(&context)).await
}

/// What a path leads to, if it leads anywhere. The disk, which may be far away, is asked off the GTK thread.
pub(super) async fn file_type(path: &Path) -> Option<gio::FileType> {
    let (flags, priority) = (gio::FileQueryInfoFlags::NONE, glib::Priority::DEFAULT);
    let asked = gio::File::for_path(path).query_info_future("standard::type", flags, priority);
    asked.await.ok().map(|info| info.file_type())
}

/// Shows a text; a selection in a text that stays the same is kept.
pub(super) fn set_text(label: &gtk::Label, text: &str) {
    if label.label() != text {
        label.set_label(text);
    }
}

/// Binds properties of the object that `bindings` will be given: each is named, then the widget that shows it and
/// the property of that widget.
pub(super) fn bind(bindings: &glib::BindingGroup, shown: &[(&str, &gtk::Widget, &str)]) {
    for (property, widget, target) in shown {
        bindings.bind(property, *widget, target).sync_create().build();
    }
}

/// Shows widgets only while a text of the object that `bindings` will be given is not empty.
pub(super) fn bind_visible(bindings: &glib::BindingGroup, shown: &[(&str, &gtk::Widget)]) {
    for (property, widget) in shown {
        bindings
            .bind(property, *widget, "visible")
            .transform_to(|_, text: String| Some(!text.is_empty()))
            .sync_create()
            .build();
    }
}

/// Rows of a list: `make` gives a new one, and `show` an item to it, or none when the row is put away.
pub(super) fn row_factory<R, I>(
    make: impl Fn(&gtk::ListItem) -> R + 'static,
    show: impl Fn(&R, Option<&I>) + Clone + 'static,
) -> gtk::SignalListItemFactory
where
    R: IsA<gtk::Widget>,
    I: IsA<glib::Object>,
{
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(move |_, item| {
        if let Some(item) = item.downcast_ref::<gtk::ListItem>() {
            item.set_child(Some(&make(item)));
        }
    });
    let show = move |item: &glib::Object, bound: bool| {
        let Some(item) = item.downcast_ref::<gtk::ListItem>() else {
            return;
        };
        let shown = item.item().and_downcast::<I>().filter(|_| bound);
        if let Some(row) = item.child().and_downcast::<R>() {
            show(&row, shown.as_ref());
        }
    };
    let put_away = show.clone();
    factory.connect_bind(move |_, item| show(item, true));
    factory.connect_unbind(move |_, item| put_away(item, false));
    factory
}
