//! A row of a table as an object that a list can hold: some plain data, and a revision that tells when it is another.
//! Layer 4.

use gtk::glib;
use gtk::prelude::*;

/// An object with a property `revision` that goes up when anything about its data changes; cells then read their text
/// anew. [`row_object!`] makes one.
pub(crate) trait RowObject: IsA<glib::Object> {
    /// What it holds.
    type Row: 'static;

    /// Reads something of it.
    fn with<T>(&self, read: impl FnOnce(&Self::Row) -> T) -> T;
}

/// A row object with this name, known to GTK by the one behind it, that holds this data.
macro_rules! row_object {
    ($object:ident is $name:literal, of $row:ty) => {
        #[expect(
            unreachable_pub,
            reason = "the getters that the derive makes are `pub`"
        )]
        mod imp {
            use std::cell::{Cell, RefCell};

            use gtk::glib;
            use gtk::glib::prelude::*;
            use gtk::glib::subclass::prelude::*;

            use super::*;

            #[derive(Debug, Default, glib::Properties)]
            #[properties(wrapper_type = super::$object)]
            pub(crate) struct $object {
                #[property(get)]
                pub(super) revision: Cell<u64>,
                pub(super) row: RefCell<Option<$row>>,
            }

            #[glib::object_subclass]
            impl ObjectSubclass for $object {
                const NAME: &'static str = $name;
                type Type = super::$object;
            }

            #[glib::derived_properties]
            impl ObjectImpl for $object {}
        }

        gtk::glib::wrapper! {
            pub(crate) struct $object(ObjectSubclass<imp::$object>);
        }

        impl $object {
            pub(crate) fn new(row: &$row) -> Self {
                let object: Self = gtk::glib::Object::new();
                object.update(row);
                object
            }

            /// Takes over what is newer, if it is any different.
            pub(crate) fn update(&self, row: &$row) {
                let imp = gtk::subclass::prelude::ObjectSubclassIsExt::imp(self);
                if imp.row.borrow().as_ref() == Some(row) {
                    return;
                }
                imp.row.replace(Some(row.clone()));
                imp.revision.set(imp.revision.get() + 1);
                self.notify_revision();
            }
        }

        impl $crate::window::row_object::RowObject for $object {
            type Row = $row;

            fn with<T>(&self, read: impl FnOnce(&$row) -> T) -> T {
                let imp = gtk::subclass::prelude::ObjectSubclassIsExt::imp(self);
                read(imp.row.borrow().as_ref().expect("`new` sets the row"))
            }
        }
    };
}
pub(crate) use row_object;
