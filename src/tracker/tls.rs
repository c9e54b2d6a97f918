//! TLS to trackers and other servers, with failures in words. Layer 3.
//!
//! The certificates that are trusted are those of the system's OpenSSL: the folder of `ca-certificates`, or
//! what the environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name at the start of the program. Nothing
//! turns the check of a certificate off: who runs a server with a certificate of his own adds its CA to them.

use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::{ConnectionDetails, Connector, NativeTlsConnector, Transport};

/// Why there is no encrypted connection to `origin`, which is scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TlsError {
    /// Nobody that this system knows vouches for it.
    #[error(
        "the certificate of {origin} is not trusted ({problem}); if you trust this server, add its CA to the \
         certificates of the system, or name the file of the CA in SSL_CERT_FILE and start again"
    )]
    Untrusted { origin: String, problem: String },
    /// It is somebody else's.
    #[error(
        "the certificate of {origin} is not for this host ({problem}); the URL may be wrong, or somebody else \
         answers in its place"
    )]
    WrongHost { origin: String, problem: String },
    /// It is not valid now.
    #[error(
        "the certificate of {origin} is not valid today ({problem}); see whether the clock of this computer \
         is right, else the server has to renew it"
    )]
    WrongTime { origin: String, problem: String },
    /// What answers is likely plain HTTP.
    #[error("{origin} does not speak TLS; the URL may have to start with http:// or need another port")]
    NotTls { origin: String },
    /// All else, in the words of OpenSSL.
    #[error("no encrypted connection to {origin}: {problem}")]
    Other { origin: String, problem: String },
}

impl TlsError {
    /// Sorts what OpenSSL says. Its errors reach us as text only: a chain of reasons, and for certificates the
    /// verdict in parentheses at the end.
    fn new(uri: &Uri, text: &str) -> Self {
        let origin = origin(uri);
        let has = |part: &str| text.contains(part);
        if ["wrong version number", "http request", "packet length too long"]
            .into_iter()
            .any(has)
        {
            return Self::NotTls { origin };
        }
        let verdict = text.rsplit_once(" (").and_then(|(_, end)| end.strip_suffix(')'));
        let problem = verdict.unwrap_or(text).to_owned();
        if !has("certificate verify failed") {
            let problem = text.to_owned();
            Self::Other { origin, problem }
        } else if has("mismatch") {
            Self::WrongHost { origin, problem }
        } else if has("expired") || has("not yet valid") {
            Self::WrongTime { origin, problem }
        } else {
            Self::Untrusted { origin, problem }
        }
    }
}

/// Without path and query, which may hold a passkey, and without a user name.
fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let host = uri.host().unwrap_or_default();
    let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{scheme}://{host}{port}")
}

/// Encrypts the connections that need it.
#[derive(Debug, Default)]
pub(crate) struct TlsConnector(NativeTlsConnector);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = <NativeTlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        self.0.connect(details, chained).map_err(|error| match error {
            Error::NativeTls(error) => Error::Other(Box::new(TlsError::new(details.uri, &error.to_string()))),
            error => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openssl_says_is_sorted_and_the_passkey_is_left_out() {
        let uri: Uri = "https://me:SECRET@t.example:8443/SECRET/announce?k=SECRET"
            .parse()
            .unwrap();
        let verify = |verdict| {
            format!(
                "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify \
                 failed:../ssl/statem/statem_clnt.c:1889: ({verdict})"
            )
        };
        let table = [
            (
                verify("self-signed certificate"),
                "not trusted (self-signed certificate)",
            ),
            (
                verify("unable to get local issuer certificate"),
                "not trusted (unable to get",
            ),
            (
                verify("hostname mismatch"),
                "not for this host (hostname mismatch)",
            ),
            (verify("IP address mismatch"), "not for this host (IP address"),
            (
                verify("certificate has expired"),
                "not valid today (certificate has expired)",
            ),
            (verify("certificate is not yet valid"), "not valid today"),
            (
                "error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../ssl/x.c:1:".to_owned(),
                "does not speak TLS",
            ),
            ("handshake failure".to_owned(), "no encrypted connection"),
            ("certificate verify failed".to_owned(), "not trusted"),
        ];
        for (said, expected) in table {
            let told = TlsError::new(&uri, &said).to_string();
            assert!(told.contains(expected), "{said}: {told}");
            assert!(told.contains("https://t.example:8443"), "{told}");
            assert!(!told.contains("SECRET"), "{told}");
        }
    }
}
