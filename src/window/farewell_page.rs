//! What the window shows while the program ends, `ui/farewell_page.ui`. Layer 4.

use adw::subclass::prelude::*;
use gtk::glib;

use super::template::template_class;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/farewell_page.ui")]
    pub(crate) struct FarewellPage {
        #[template_child]
        pub(super) page: TemplateChild<adw::StatusPage>,
    }

    template_class!(FarewellPage is "DtFarewellPage", a adw::Bin);

    impl BinImpl for FarewellPage {}
}

glib::wrapper! {
    pub(crate) struct FarewellPage(ObjectSubclass<imp::FarewellPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl FarewellPage {
    /// Tells this of what becomes of the torrents.
    pub(crate) fn new(words: &str) -> Self {
        let page: Self = glib::Object::new();
        page.imp().page.set_description(Some(words));
        page
    }
}
