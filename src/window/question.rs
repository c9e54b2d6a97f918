//! A question with one answer that does something and one that does not. Layer 4.

use adw::prelude::*;

use super::i18n::tr;

/// Name of the answer that does something.
pub(crate) const YES: &str = "yes";

/// Name of the answer that does nothing.
const CANCEL: &str = "cancel";

/// Shows `dialog` with *Cancel* and a button `yes`, and waits for the answer. Return presses `yes`, unless that
/// destroys something: then the keyboard begins at *Cancel*.
pub(crate) async fn ask(dialog: &adw::MessageDialog, yes: &str, appearance: adw::ResponseAppearance) -> bool {
    dialog.add_responses(&[(CANCEL, &tr!("_Cancel")), (YES, yes)]);
    dialog.set_response_appearance(YES, appearance);
    let is_harmless = appearance != adw::ResponseAppearance::Destructive;
    dialog.set_default_response(Some(if is_harmless { YES } else { CANCEL }));
    dialog.set_close_response(CANCEL);
    let (tx, rx) = async_channel::bounded(1);
    dialog.connect_response(None, move |_, response| {
        // A dialog answers once.
        let _ = tx.try_send(response == YES);
    });
    dialog.present();
    if !is_harmless && let Some(cancel) = dialog.default_widget() {
        cancel.grab_focus();
    }
    // A dialog that went away without an answer was not agreed to.
    rx.recv().await.unwrap_or(false)
}
