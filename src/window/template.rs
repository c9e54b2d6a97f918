//! What all widgets with a template in `ui/` have in common. Layer 4.

use gtk::glib;
use gtk::prelude::*;

/// The class of a widget with a template, from its template to its end. Goes into the module that holds the
/// struct. Types that the template names must be known before, so they follow `with`; a method of the struct
/// that runs once for each new widget follows `then`.
macro_rules! template_class {
    ($class:ident is $name:literal, a $parent:ty $(, with $child:ty)* $(, then $set_up:ident)?) => {
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
}
pub(super) use template_class;

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
