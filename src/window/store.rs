//! Brings a `gio::ListStore` to a wanted order with one splice, so that views keep their place, their
//! selection and their widgets. Layer 4.

use std::collections::HashMap;
use std::hash::Hash;

use gtk::gio;
use gtk::gio::prelude::*;
use gtk::glib;

/// Objects by key, and the store that shows them in order. Invariant: the store holds exactly the objects of
/// `shown`, in that order, and these are the objects of the map.
#[derive(Debug)]
pub(crate) struct KeyedStore<K, O: IsA<glib::Object>> {
    store: gio::ListStore,
    shown: Vec<K>,
    objects: HashMap<K, O>,
}

impl<K: Hash + Eq, O: IsA<glib::Object>> Default for KeyedStore<K, O> {
    fn default() -> Self {
        Self {
            store: gio::ListStore::new::<O>(),
            shown: Vec::new(),
            objects: HashMap::new(),
        }
    }
}

impl<K: Copy + Hash + Eq, O: IsA<glib::Object>> KeyedStore<K, O> {
    /// The store, for a view.
    pub(crate) fn store(&self) -> &gio::ListStore {
        &self.store
    }

    /// Makes the store hold one object for each item, in order. Items seen before keep their object and go
    /// through `update`, others through `create`. No key may come twice.
    pub(crate) fn sync<T>(
        &mut self,
        items: &[T],
        key: impl Fn(&T) -> K,
        create: impl Fn(&T) -> O,
        update: impl Fn(&O, &T),
    ) {
        let keys: Vec<K> = items.iter().map(&key).collect();
        let is_same = keys == self.shown;
        let mut before = if is_same {
            HashMap::new()
        } else {
            std::mem::take(&mut self.objects)
        };
        for (item, key) in items.iter().zip(&keys) {
            if is_same {
                if let Some(object) = self.objects.get(key) {
                    update(object, item);
                }
                continue;
            }
            let object = match before.remove(key) {
                Some(object) => {
                    update(&object, item);
                    object
                }
                None => create(item),
            };
            self.objects.insert(*key, object);
        }
        if !is_same {
            self.splice(keys);
        }
    }

    /// Replaces what lies between the common beginning and the common end.
    fn splice(&mut self, wanted: Vec<K>) {
        let (held, shown) = (self.shown.len(), &self.shown);
        let shorter = held.min(wanted.len());
        let head = (0..shorter).take_while(|&at| shown[at] == wanted[at]).count();
        let tail = (1..=shorter - head)
            .take_while(|&back| shown[held - back] == wanted[wanted.len() - back])
            .count();
        let added: Vec<O> = wanted[head..wanted.len() - tail]
            .iter()
            .filter_map(|key| self.objects.get(key).cloned())
            .collect();
        let removed = held - head - tail;
        self.shown = wanted;
        self.store.splice(head as u32, removed as u32, &added);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    fn sync(store: &mut KeyedStore<u32, glib::BoxedAnyObject>, items: &[u32]) {
        store.sync(
            items,
            |item| *item,
            |item| glib::BoxedAnyObject::new(*item),
            |_, _| (),
        );
    }

    fn shown(store: &KeyedStore<u32, glib::BoxedAnyObject>) -> Vec<u32> {
        let items = store.store().iter::<glib::BoxedAnyObject>();
        items
            .map(|item| *item.expect("nobody changes the store").borrow::<u32>())
            .collect()
    }

    #[test]
    fn follows_every_change_of_order() {
        let mut store = KeyedStore::default();
        for items in [
            &[][..],
            &[1, 2, 3],
            &[1, 3],
            &[3, 1, 4],
            &[3, 1, 4],
            &[9],
            &[9, 8, 7],
            &[],
        ] {
            sync(&mut store, items);
            assert_eq!(shown(&store), items);
        }
    }

    #[test]
    fn touches_only_what_changed() {
        let mut store = KeyedStore::default();
        sync(&mut store, &[1, 2, 3, 4]);
        let changes = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&changes);
        store.store().connect_items_changed(move |_, at, removed, added| {
            seen.borrow_mut().push((at, removed, added));
        });
        sync(&mut store, &[1, 2, 3, 4]);
        sync(&mut store, &[1, 2, 9, 4]);
        sync(&mut store, &[1, 2, 9, 4, 5]);
        assert_eq!(*changes.borrow(), [(2, 1, 1), (4, 0, 1)]);
    }
}
