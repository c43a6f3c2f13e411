//! Sentences that more than one handler says, in one place so that they sound like one person.
//!
//! Each says what happened and what to do, without jargon; what an app's developer needs stands apart from it.

use std::borrow::Cow;

use super::parts::{Field, FieldLink, FormError};

/// What an error page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorWords {
    /// What happened, as a heading.
    pub(crate) title: &'static str,
    /// What happened, in a sentence.
    pub(crate) message: &'static str,
    /// What to do.
    pub(crate) advice: &'static str,
}

/// A sign-in that was left too long, or a link used before.
pub(crate) const EXPIRED_LINK: ErrorWords = ErrorWords {
    title: "This link has expired",
    message: "It was not used in time, or it has been used already.",
    advice: "Go back to the app and start again from there.",
};

/// No client has this id.
pub(crate) const UNKNOWN_APP: ErrorWords = ErrorWords {
    title: "We do not know this app",
    message: "An app sent you here to sign in, but it is not registered with us.",
    advice: "Check that you opened the right app. If you did, tell the people who run it.",
};

/// The redirect address is not one that the client registered.
pub(crate) const UNREGISTERED_ADDRESS: ErrorWords = ErrorWords {
    title: "This app asked for something we cannot do",
    message: "It wants to send you to an address that it has not registered, so we stopped here to keep you safe.",
    advice: "Tell the people who run the app. Nothing of yours was shared.",
};

/// The app's request breaks a rule, and cannot be sent back to it.
pub(crate) const BROKEN_REQUEST: ErrorWords = ErrorWords {
    title: "This app made a mistake",
    message: "The way it asked us to sign you in is not complete, so we cannot go on.",
    advice: "Go back to the app and try again. If it happens again, tell the people who run it.",
};

/// The browser sent no cookie where one must be.
pub(crate) const COOKIES_REFUSED: ErrorWords = ErrorWords {
    title: "Your browser did not keep our cookie",
    message: "We need one cookie to remember you between two pages.",
    advice: "Allow cookies for this site, then go back to the app and start again.",
};

/// The step was started in another browser, or in a private window.
pub(crate) const OTHER_BROWSER: ErrorWords = ErrorWords {
    title: "This was started in another browser",
    message: "For your safety, a sign-in has to end in the browser where it began.",
    advice: "Go back to that browser, or start again from the app in this one.",
};

/// A form came from elsewhere, or its token does not fit.
pub(crate) const FORM_REFUSED: ErrorWords = ErrorWords {
    title: "We could not accept this form",
    message: "It did not come from the page that we showed you, or that page was open for too long.",
    advice: "Go back, load the page again, and send it once more.",
};

/// A provider's answer that belongs to nothing that was started here.
pub(crate) const BROKEN_ANSWER: ErrorWords = ErrorWords {
    title: "We did not expect this",
    message: "The other site sent you back to us, but no sign-in with it was started here.",
    advice: "Go back to the app and start again from there.",
};

/// A provider that cannot be asked.
pub(crate) const PROVIDER_UNAVAILABLE: ErrorWords = ErrorWords {
    title: "The other site does not answer",
    message: "The app wants to sign you in with another site, which is slow or down at the moment.",
    advice: "Go back to the app and try again in a minute, or use another way to sign in.",
};

/// The server has more to do than it can.
pub(crate) const SERVER_BUSY: ErrorWords = ErrorWords {
    title: "We are very busy right now",
    message: "More people are signing in than we can look after at once.",
    advice: "Wait a few seconds, then try again.",
};

/// Something failed on our side.
pub(crate) const SERVER_FAILED: ErrorWords = ErrorWords {
    title: "Something went wrong on our side",
    message: "It was not your doing, and we have made a note of it.",
    advice: "Try again in a moment. If it happens again, quote the reference below.",
};

/// No page has this address.
pub(crate) const NOT_FOUND: ErrorWords = ErrorWords {
    title: "There is no page here",
    message: "The address may have been typed wrongly, or the page has moved.",
    advice: "Check the address, or go back to where you came from.",
};

/// The folder of a docs site is not there.
pub(crate) const SITE_UNAVAILABLE: ErrorWords = ErrorWords {
    title: "These pages are not here now",
    message: "The site is set up, but its pages cannot be read at the moment.",
    advice: "Try again in a minute. If you run this site, look at its folder and at the log for the reference below.",
};

/// The server that a docs site's pages come from does not answer, or not with a page.
pub(crate) const SITE_UNREACHABLE: ErrorWords = ErrorWords {
    title: "This page cannot be fetched now",
    message: "The server that holds it did not answer as it should.",
    advice: "Try again in a minute. If you run this site, look at its upstream and at the log for the reference below.",
};

/// The page exists, but not for this kind of request.
pub(crate) const METHOD_NOT_ALLOWED: ErrorWords = ErrorWords {
    title: "This page cannot be opened that way",
    message: "The address is right, but it answers another kind of request.",
    advice: "Go back to the app and start again from there.",
};

/// Sign-in does not happen on a satellite's domain.
pub(crate) const SATELLITE_DOMAIN: ErrorWords = ErrorWords {
    title: "Sign-in happens at another address",
    message: "This site shares its sign-in with another one, and has no sign-in page of its own.",
    advice: "Go back to the site and choose Sign in there.",
};

/// The `Host` header names nobody that lives here.
pub(crate) const UNKNOWN_HOST: ErrorWords = ErrorWords {
    title: "Nobody lives at this address",
    message: "The address leads to this server, but no site is set up for it.",
    advice: "Check the address. If you run this site, add its domain to the settings.",
};

/// On a docs site: an answer of its OAuth server that no sign-in of this browser waits for.
pub(crate) const DOCS_STRAY_ANSWER: ErrorWords = ErrorWords {
    title: "Sign in again",
    message: "This sign-in was used already, took longer than ten minutes, or began in another browser.",
    advice: "Start it again from here, in this browser.",
};

/// On a private docs site: the reader, or somebody about them, said no.
pub(crate) const DOCS_NOT_SIGNED_IN: ErrorWords = ErrorWords {
    title: "You did not sign in",
    message: "The sign-in page sent you back without signing you in.",
    advice: "Try again, or ask the people who run this site for access.",
};

/// On a private docs site: whoever knows the readers does not answer as they should.
pub(crate) const DOCS_SIGN_IN_FAILED: ErrorWords = ErrorWords {
    title: "We could not sign you in",
    message: "We asked the sign-in server who you are, and could not use its answer.",
    advice: "Try again in a moment. If it happens again, tell the people who run this site, and quote the reference below.",
};

/// On a docs site: the page that checks its handshake, without a ticket.
pub(crate) const DOCS_CHECK_CLOSED: ErrorWords = ErrorWords {
    title: "This link has expired",
    message: "The page that checks this site opens with a link that is good for ten minutes.",
    advice: "If you run this site, make a new link with `vestibule docs check`.",
};

/// The set-up link was used, or was never right.
pub(crate) const SETUP_CLOSED: ErrorWords = ErrorWords {
    title: "Set-up is closed",
    message: "This server has been set up, or the link is not the one that it printed.",
    advice: "If you run this server, look at its log for the link, or sign in.",
};

/// People cannot make accounts here by themselves.
pub(crate) const SIGN_UP_CLOSED: ErrorWords = ErrorWords {
    title: "Sign-up is closed",
    message: "New accounts are made by the people who run this site.",
    advice: "Ask them for an account, or go back and sign in.",
};

/// A notice above the sign-in form: the app asked for a fresh sign-in.
pub(crate) const SIGN_IN_AGAIN: &str = "Enter your password again to continue.";

/// The same where a password is not the only way.
pub(crate) const SIGN_IN_AGAIN_SOMEHOW: &str = "Sign in again to continue.";

/// The same words for an unknown person and a wrong password.
pub(crate) fn wrong_credentials() -> FormError {
    FormError {
        title: Cow::Borrowed("That did not match"),
        message: Cow::Borrowed("The username or the password is not right. Try again."),
        fields: &[
            FieldLink {
                field: Field::Username,
                text: "Check your username or email",
            },
            FieldLink {
                field: Field::Password,
                text: "Enter your password again",
            },
        ],
    }
}

/// Too many tries; says how long to wait.
pub(crate) fn throttled(wait_seconds: u64) -> FormError {
    FormError {
        title: Cow::Borrowed("Too many tries"),
        message: Cow::Owned(format!(
            "To keep this account safe, wait {} and then try again.",
            wait(wait_seconds)
        )),
        fields: &[],
    }
}

/// Why a sign-in through a provider came to nothing, by the code in the sign-in page's address.
pub(crate) fn upstream_problem(code: &str) -> Option<FormError> {
    let (title, message) = match code {
        "refused" => (
            "You did not sign in there",
            "The other site sent you back without signing you in. Try again, or use another way.",
        ),
        "unavailable" => (
            "The other site does not answer",
            "It is slow or down at the moment. Try again in a minute, or use another way.",
        ),
        "failed" => (
            "We could not accept the other site's answer",
            "Nothing was changed. Try again; if it happens again, use another way and tell the people who run this site.",
        ),
        "too-old" => (
            "You did not prove there who you are",
            "The app wants a fresh sign-in, and the other site took an older one. Sign out there and try again, or use another way.",
        ),
        "too-late" => (
            "That took too long",
            "For your safety, a sign-in on another site has to end within ten minutes. Start it again.",
        ),
        "not-offered" => (
            "This way of signing in is not offered",
            "Use another way to sign in.",
        ),
        "not-allowed" => (
            "This account may not sign in",
            "Ask the people who run this site why.",
        ),
        "no-account" => (
            "There is no account for you here",
            "New accounts are not open at the moment. Ask the people who run this site to invite you.",
        ),
        "address-in-use" => (
            "There is an account with your address already",
            "Sign in to it the way you did before; we cannot tell by the other site alone that it is yours.",
        ),
        "somebody-elses" => (
            "That account is connected to somebody else",
            "Sign in there with another account, or use another way.",
        ),
        _ => return None,
    };
    Some(FormError {
        title: Cow::Borrowed(title),
        message: Cow::Borrowed(message),
        fields: &[],
    })
}

/// The queue for checking passwords is full.
pub(crate) fn busy() -> FormError {
    FormError {
        title: Cow::Borrowed(SERVER_BUSY.title),
        message: Cow::Borrowed("Wait a few seconds, then send the form again."),
        fields: &[],
    }
}

/// A waiting time as a person would say it, never shorter than it is.
fn wait(seconds: u64) -> String {
    match seconds {
        0 | 1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        91..=5400 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::wait;

    #[test]
    fn a_wait_is_never_said_too_short() {
        let rows = [
            (0, "a second"),
            (1, "a second"),
            (30, "30 seconds"),
            (90, "90 seconds"),
            (91, "2 minutes"),
            (3600, "60 minutes"),
            (5401, "2 hours"),
        ];
        for (seconds, words) in rows {
            assert_eq!(wait(seconds), words);
        }
    }
}
