//! The program as the desktop sees it: one instance, the files that are handed to it, its start and its
//! end. Layer 4.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use adw::prelude::*;
use adw::subclass::prelude::*;
use async_channel::Receiver;
use dtorrent::config::{Config, LogConfig};
use dtorrent::engine::api::{EngineCommand, EngineEvent};
use dtorrent::engine::{EngineSetup, LAST_WRITES};
use dtorrent::logging::Logger;
use gtk::{gio, glib};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::actions::ACCELERATORS;
use super::awake::Awake;
use super::background;
use super::engine_link::EngineLink;
use super::i18n::tr;
use super::main_window::MainWindow;
use super::preferences::SettingsInView;
use super::remembered::{Memory, Remembered};
use super::{toplevels, torrent_out, words};

pub(crate) const APP_ID: &str = "io.github.dtorrent.DTorrent";

/// How long the engine may take to say goodbye to trackers, to leave its own to others, and to save its state.
/// It has all the time that it gives the disk, and some for what follows.
const LONGEST_GOODBYE: Duration = Duration::from_secs(LAST_WRITES.as_secs() + 10);

/// How often it is looked whether anything is transferred.
const LOOK_AT_TRANSFERS: Duration = Duration::from_secs(5);

/// How long it can be read at least that downloads have stopped.
const TIME_TO_READ: Duration = Duration::from_secs(2);

/// What the command line says, for the instance that becomes the program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    /// The settings; `None`: those of the user.
    pub(crate) config: Option<PathBuf>,
    /// In place of the state folder of the settings.
    pub(crate) state: Option<PathBuf>,
    /// The session bus has started it, and says next what for.
    pub(crate) service: bool,
}

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct Application {
        pub(super) start: OnceCell<Start>,
        pub(super) link: OnceCell<EngineLink>,
        pub(super) logger: RefCell<Option<Logger>>,
        pub(super) log_file: RefCell<PathBuf>,
        /// Closing the window does not end the program.
        pub(super) background: Cell<bool>,
        pub(super) awake: Awake,
        pub(super) memory: RefCell<Option<Rc<Memory>>>,
        pub(super) window: glib::WeakRef<MainWindow>,
        pub(super) closing: Cell<bool>,
        /// Until then the window shows what becomes of its torrents.
        pub(super) reading: Cell<Option<Instant>>,
        /// The engine has.
        pub(super) ended: Cell<bool>,
        /// Somebody has started the program while it ended, perhaps with these torrents to open.
        pub(super) again: RefCell<Option<Vec<gio::File>>>,
        /// Whether the program could not start.
        pub(super) failed: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Application {
        const NAME: &'static str = "DtApplication";
        type Type = super::Application;
        type ParentType = adw::Application;
    }

    impl ObjectImpl for Application {}

    impl ApplicationImpl for Application {
        fn startup(&self) {
            self.parent_startup();
            let app = self.obj();
            gtk::Window::set_default_icon_name(APP_ID);
            toplevels::set_up();
            app.set_up_actions();
            app.set_up_signals();
            app.set_up_sleep();
            app.begin();
        }

        fn activate(&self) {
            self.parent_activate();
            if self.closing.get() {
                self.again.borrow_mut().get_or_insert_default();
            }
            if let Some(window) = self.window.upgrade().filter(|_| !self.closing.get()) {
                window.present();
                background::withdraw(&*self.obj());
            }
        }

        fn open(&self, files: &[gio::File], _hint: &str) {
            self.activate();
            if let Some(again) = &mut *self.again.borrow_mut() {
                again.extend_from_slice(files);
            } else if let Some(window) = self.window.upgrade() {
                window.open_files(files);
            }
        }
    }

    impl GtkApplicationImpl for Application {}
    impl AdwApplicationImpl for Application {}
}

glib::wrapper! {
    pub(crate) struct Application(ObjectSubclass<imp::Application>)
        @extends adw::Application, gtk::Application, gio::Application,
        @implements gio::ActionGroup, gio::ActionMap;
}

impl Application {
    pub(crate) fn new(start: Start) -> Self {
        let mut flags = gio::ApplicationFlags::HANDLES_OPEN;
        flags.set(gio::ApplicationFlags::IS_SERVICE, start.service);
        let app: Self = glib::Object::builder()
            .property("application-id", APP_ID)
            .property("resource-base-path", "/io/github/dtorrent/DTorrent")
            .property("flags", flags)
            .build();
        // It was made in the line above.
        let _ = app.imp().start.set(start);
        app
    }

    /// Whether the program could not start, which the user has been told.
    pub(crate) fn has_failed(&self) -> bool {
        self.imp().failed.get()
    }

    /// Takes what is to be opened by a program that starts again right after this one; `None`: nobody has asked for it.
    pub(crate) fn take_again(&self) -> Option<Vec<OsString>> {
        let files = self.imp().again.take()?;
        let argument = |file: &gio::File| match file.path() {
            Some(path) => path.into_os_string(),
            None => OsString::from(file.uri().as_str()),
        };
        Some(files.iter().map(argument).collect())
    }

    /// Reads the settings and starts logger, engine and window, in this order: each needs the one before it.
    fn begin(&self) {
        match self.try_begin() {
            Ok(window) => self.imp().window.set(Some(&window)),
            Err(message) => self.fail(&message),
        }
    }

    fn try_begin(&self) -> Result<MainWindow, String> {
        let imp = self.imp();
        let start = imp.start.get().cloned().unwrap_or_default();
        let (mut config, config_path) = match start.config {
            Some(path) => (Config::load(&path).map_err(|error| error.to_string())?, path),
            None => Config::load_of_user().map_err(|error| error.to_string())?,
        };
        if let Some(state) = &start.state {
            config.keep_state_in(state, &config_path);
        }
        imp.log_file.replace(config.log.file.clone());
        imp.background.set(config.window.background);
        let logger = Logger::start(&config.log, false).map_err(|error| error.to_string())?;
        imp.logger.replace(Some(logger));
        let started_with = Arc::new(config.clone());
        let settings = SettingsInView {
            config: Arc::clone(&started_with),
            started_with,
            defaults: Arc::new(Config::defaults_beside(&config_path)),
            state_is_given: start.state.is_some(),
        };
        let state = config.folders.state.clone();
        let (link, arrivals) = EngineLink::start(|on_event| EngineSetup {
            config,
            config_path: Some(config_path),
            state: start.state,
            scope: None,
            on_event,
        })
        .map_err(|error| error.to_string())?;
        // This runs once, when the program starts.
        let _ = imp.link.set(link.clone());
        self.listen(arrivals.events);
        // The engine has made the folder, and holds its lock.
        let remembered = Remembered::load(&state);
        let memory = Memory::start(&state).map(Rc::new);
        let memory = memory.inspect_err(|error| log::warn!("the window will not be remembered: {error}"));
        let memory = memory.ok();
        imp.memory.replace(memory.clone());
        torrent_out::clear_copies();
        let window = MainWindow::new(self, link, arrivals.states, memory, &remembered);
        window.configure_adding(&settings.config);
        window.begin_settings(settings);
        Ok(window)
    }

    /// Takes what the engine tells of itself, and shows the window the rest.
    fn listen(&self, events: Receiver<EngineEvent>) {
        let app = self.downgrade();
        glib::spawn_future_local(async move {
            while let Ok(event) = events.recv().await {
                let Some(app) = app.upgrade() else { return };
                match event {
                    EngineEvent::Configured(config) => {
                        app.configure_log(&config.log);
                        app.imp().background.set(config.window.background);
                        let window = app.imp().window.upgrade();
                        window.inspect(|window| {
                            window.configure_adding(&config);
                            window.show_settings(config);
                        });
                    }
                    EngineEvent::Stopped => app.end(),
                    event => {
                        let window = app.imp().window.upgrade();
                        window.inspect(|window| window.show_event(event));
                    }
                }
            }
        });
    }

    /// Says why there is no program, on the terminal and on the screen, and ends.
    #[expect(clippy::print_stderr, reason = "there may be no log to write to")]
    fn fail(&self, message: &str) {
        eprintln!("dtorrent: {message}");
        self.imp().failed.set(true);
        let dialog = adw::MessageDialog::builder()
            .application(self)
            .heading(tr!("DTorrent Cannot Start"))
            .body(words::told(message))
            .close_response("quit")
            .build();
        dialog.add_response("quit", &tr!("_Quit"));
        let app = self.downgrade();
        dialog.connect_response(None, move |_, _| {
            app.upgrade().inspect(|app| app.quit());
        });
        dialog.present();
    }

    fn set_up_actions(&self) {
        self.add_plain_action("about", |app| app.show_about());
        self.add_plain_action("shortcuts", |app| app.show_shortcuts());
        self.add_plain_action("quit", |app| app.close());
        self.add_plain_action("close-window", |app| app.close_window());
        self.add_plain_action("log", |app| app.show_log());
        let show = gio::SimpleAction::new("show-torrent", Some(glib::VariantTy::STRING));
        let app = self.downgrade();
        show.connect_activate(move |_, info_hash| {
            let window = app.upgrade().and_then(|app| app.imp().window.upgrade());
            if let Some((window, info_hash)) = window.zip(info_hash.and_then(glib::Variant::str)) {
                window.present();
                window.show_torrent(info_hash);
            }
        });
        self.add_action(&show);
        for (action, keys) in ACCELERATORS {
            self.set_accels_for_action(action, keys);
        }
    }

    fn add_plain_action(&self, name: &str, run: impl Fn(Self) + 'static) {
        let action = gio::SimpleAction::new(name, None);
        let app = self.downgrade();
        action.connect_activate(move |_, _| {
            app.upgrade().inspect(|app| run(app.clone()));
        });
        self.add_action(&action);
    }

    /// Looks now and then whether the computer may go to sleep.
    fn set_up_sleep(&self) {
        let app = self.downgrade();
        glib::timeout_add_local(LOOK_AT_TRANSFERS, move || {
            let Some(app) = app.upgrade() else {
                return glib::ControlFlow::Break;
            };
            let moves = app
                .imp()
                .window
                .upgrade()
                .is_some_and(|window| window.is_transferring());
            app.imp().awake.note(app.upcast_ref(), moves, Instant::now());
            glib::ControlFlow::Continue
        });
    }

    /// A session that ends, or Ctrl-C in the terminal, is the same as closing the window.
    fn set_up_signals(&self) {
        let (tx, rx) = async_channel::unbounded();
        let watched = Signals::new([SIGINT, SIGTERM]).and_then(|mut signals| {
            let wait = move || signals.forever().try_for_each(|signal| tx.send_blocking(signal));
            thread::Builder::new().name("signals".to_owned()).spawn(wait)
        });
        if let Err(error) = watched {
            log::warn!("signals cannot be watched, a kill will not be a clean end: {error}");
        }
        let app = self.downgrade();
        glib::spawn_future_local(async move {
            while rx.recv().await.is_ok() {
                app.upgrade().inspect(Self::shut_down);
            }
        });
    }

    /// The window goes. The program stays behind it if that is wished for, and if there is a way back: a second start
    /// reaches the first by the session bus.
    fn close_window(&self) {
        let window = self.imp().window.upgrade().filter(|_| !self.imp().closing.get());
        match window {
            Some(window) if self.imp().background.get() && self.dbus_connection().is_some() => {
                window.set_visible(false);
                background::tell(self);
            }
            _ => self.close(),
        }
    }

    /// A person wants the end. Nothing is lost by it, so nothing is asked; but that downloads do not go on behind a
    /// closed window is said, and can be read. Asked for twice, the window goes at once.
    fn close(&self) {
        let imp = self.imp();
        if imp.closing.get() {
            imp.reading.set(None);
            self.hide_windows();
            if imp.ended.get() {
                self.finish();
            }
            return;
        }
        let window = imp.window.upgrade();
        if window.is_some_and(|window| window.show_farewell()) {
            imp.reading.set(Some(Instant::now() + TIME_TO_READ));
        }
        self.shut_down();
    }

    /// Hides what has nothing to be read.
    fn hide_windows(&self) {
        let read = self.imp().window.upgrade();
        let read = read.filter(|_| self.imp().reading.get().is_some());
        for window in self.windows() {
            window.set_visible(read.as_ref().is_some_and(|read| window == *read));
        }
    }

    /// Ends when the engine has said goodbye or has taken too long for it.
    fn shut_down(&self) {
        let imp = self.imp();
        if imp.closing.replace(true) {
            return;
        }
        let window = imp.window.upgrade();
        window.inspect(|window| window.remember());
        self.hide_windows();
        let Some(link) = imp.link.get() else {
            return self.quit();
        };
        link.send(EngineCommand::Shutdown);
        let app = self.downgrade();
        glib::timeout_add_local_once(LONGEST_GOODBYE, move || {
            if let Some(app) = app.upgrade() {
                log::warn!("the engine did not stop in {} s", LONGEST_GOODBYE.as_secs());
                app.finish();
            }
        });
    }

    /// The engine has stopped.
    fn end(&self) {
        if let Some(link) = self.imp().link.get() {
            link.join();
        }
        self.imp().ended.set(true);
        let rest = self.imp().reading.get();
        let rest = rest.map(|until| until.saturating_duration_since(Instant::now()));
        let app = self.downgrade();
        glib::timeout_add_local_once(rest.unwrap_or_default(), move || {
            app.upgrade().inspect(Self::finish);
        });
    }

    /// Takes over edited settings of the log.
    fn configure_log(&self, config: &LogConfig) {
        self.imp().log_file.replace(config.file.clone());
        if let Some(logger) = &*self.imp().logger.borrow() {
            logger.configure(config);
        }
    }

    fn finish(&self) {
        if let Some(memory) = self.imp().memory.take() {
            memory.end();
        }
        if let Some(logger) = self.imp().logger.take() {
            logger.stop();
        }
        self.quit();
    }

    fn show_log(&self) {
        if let Some(window) = self.imp().window.upgrade() {
            window.show_log(&self.imp().log_file.borrow());
        }
    }

    /// Shows the keys. Not by GTK's own way to do so (`gtk/help-overlay.ui`), which makes the window with the main one and
    /// keeps it hidden: when a screen reader asks GTK 4.8 for a window that has just closed, it may be told of a hidden one,
    /// and as nobody has seen that yet, the program falls.
    fn show_shortcuts(&self) {
        let builder = gtk::Builder::from_resource("/io/github/dtorrent/DTorrent/shortcuts.ui");
        if let Some(window) = builder.object::<gtk::Window>("shortcuts") {
            window.set_transient_for(self.active_window().as_ref());
            window.present();
        }
    }

    fn show_about(&self) {
        let about = adw::AboutWindow::builder()
            .modal(true)
            .application_name("DTorrent")
            .application_icon(APP_ID)
            .version(env!("CARGO_PKG_VERSION"))
            .comments(tr!(
                "A BitTorrent client with a GTK 4 window, one thread per peer, no async runtime"
            ))
            .license_type(gtk::License::MitX11)
            .developer_name(tr!("The DTorrent developers"))
            .build();
        about.set_transient_for(self.active_window().as_ref());
        about.present();
    }
}
