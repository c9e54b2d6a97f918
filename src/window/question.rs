//! A question with one answer that does something and one that does not. Layer 4.

use adw::prelude::*;

/// Name of the answer that does something.
const YES: &str = "yes";

/// Shows `dialog` with *Cancel* and a button `yes` that Return presses, and waits for the answer.
pub(crate) async fn ask(dialog: &adw::MessageDialog, yes: &str, appearance: adw::ResponseAppearance) -> bool {
    dialog.add_responses(&[("cancel", "_Cancel"), (YES, yes)]);
    dialog.set_response_appearance(YES, appearance);
    dialog.set_default_response(Some(YES));
    dialog.set_close_response("cancel");
    let (tx, rx) = async_channel::bounded(1);
    dialog.connect_response(None, move |_, response| {
        // A dialog answers once.
        let _ = tx.try_send(response == YES);
    });
    dialog.present();
    // A dialog that went away without an answer was not agreed to.
    rx.recv().await.unwrap_or(false)
}
