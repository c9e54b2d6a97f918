//! Packs the templates, the style and the icons of the window into one resource. Does nothing without the
//! `gui` feature, so that the library and the command line build on a machine without GTK.

fn main() {
    #[cfg(feature = "gui")]
    {
        println!("cargo::rerun-if-changed=data/icons");
        glib_build_tools::compile_resources(
            &["ui", "data"],
            "ui/resources.gresource.xml",
            "dtorrent.gresource",
        );
    }
}
