//! How good a new password is, in words that help to choose a better one.
//!
//! The law: length and guessability decide, composition rules do not (NIST SP 800-63B, 5.1.1.2). What the server knows
//! about the person counts as guessed. Checking a password at sign-in never asks this file.

use zxcvbn::Score;

use super::password_hash::{HashError, Password, PasswordHasher};

/// The fewest characters of a new password.
pub(crate) const PASSWORD_CHARACTERS_MIN: usize = 8;

/// The score from which a password is accepted: more than a hundred thousand guesses, which at the pace that the throttle
/// lets pass takes longer than an account lives, while a dictionary word with a digit stays refused.
pub(crate) const SCORE_MIN: u8 = 2;

/// Characters that are scored; the work grows faster than the length. The rest can only make it stronger.
const SCORED_CHARACTERS_MAX: usize = 100;

/// Words about the person that are looked for, and characters of each.
const KNOWN_WORDS_MAX: usize = 32;
const KNOWN_CHARACTERS_MAX: usize = 64;

/// What is thought of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strength {
    /// From 0 (guessed at once) to 4 (very hard to guess).
    pub score: u8,
    /// Whether it may be used.
    pub acceptable: bool,
    /// One sentence that says what is wrong with it, where something is.
    pub warning: Option<String>,
    /// Sentences that say what would make it better.
    pub suggestions: Vec<String>,
}

/// What the server knows about the person and an attacker may know too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    words: Vec<String>,
}

impl Known {
    /// Takes names, mail addresses, user names and the name of the tenant, whole and in their parts.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut add = |word: &str| {
            let word: String = word
                .chars()
                .take(KNOWN_CHARACTERS_MAX)
                .collect::<String>()
                .to_lowercase();
            if word.chars().count() >= 3 && words.len() < KNOWN_WORDS_MAX && !words.contains(&word)
            {
                words.push(word);
            }
        };
        for text in texts {
            add(text.trim());
            for part in text.split(|character: char| !character.is_alphanumeric()) {
                add(part);
            }
        }
        Self { words }
    }
}

/// Judges a new password on a hashing thread, and gives it back for hashing.
pub(crate) async fn judge(
    hasher: &PasswordHasher,
    password: Password,
    known: Known,
) -> Result<(Password, Strength), HashError> {
    hasher
        .run_other(move || {
            let strength = strength(password.expose(), &known);
            (password, strength)
        })
        .await
}

/// Judges a new password. Takes up to some tens of milliseconds: call [`judge`] from async code.
pub(crate) fn strength(password: &str, known: &Known) -> Strength {
    let scored = password
        .char_indices()
        .nth(SCORED_CHARACTERS_MAX)
        .and_then(|(end, _)| password.get(..end))
        .unwrap_or(password);
    let words: Vec<&str> = known.words.iter().map(String::as_str).collect();
    let entropy = zxcvbn::zxcvbn(scored, &words);
    let score = match entropy.score() {
        Score::Zero => 0,
        Score::One => 1,
        Score::Two => 2,
        Score::Three => 3,
        // The enumeration is open; whatever is beyond is no weaker.
        _ => 4,
    };
    let mut warning = entropy
        .feedback()
        .and_then(zxcvbn::feedback::Feedback::warning)
        .map(|text| text.to_string());
    let suggestions = entropy.feedback().map_or_else(Vec::new, |feedback| {
        feedback
            .suggestions()
            .iter()
            .map(ToString::to_string)
            .collect()
    });
    let is_long_enough = password.chars().count() >= PASSWORD_CHARACTERS_MIN;
    if !is_long_enough {
        warning = Some(format!(
            "Use at least {PASSWORD_CHARACTERS_MIN} characters."
        ));
    } else if score < SCORE_MIN && warning.is_none() {
        warning = Some("This password is easy to guess.".to_owned());
    }
    Strength {
        score,
        acceptable: is_long_enough && score >= SCORE_MIN,
        warning,
        suggestions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::password_hash::Parameters;
    use std::num::NonZeroUsize;

    #[test]
    fn guessable_passwords_are_refused_with_a_reason() {
        let known = Known::new([
            "Ada Lovelace",
            "ada.lovelace@analytical.example",
            "adal",
            "Acme Works",
        ]);
        #[rustfmt::skip]
        let table = [
            ("password",                       false),
            ("Password1",                      false),
            ("P@ssw0rd",                       false),
            ("12345678",                       false),
            ("aaaaaaaaaaaaaaaa",               false),
            ("qwertyuiop",                     false),
            ("abcdefgh",                       false),
            ("lovelace1",                      false),
            ("AdaLovelace",                    false),
            ("analytical",                     false),
            ("acmeworks",                      false),
            ("xK9#",                           false),
            ("é̂ñ",                             false),
            ("        ",                       false),
            ("",                               false),
            ("correct horse battery staple",   true),
            ("tr0ub4dour&3x",                  true),
            ("Grüße aus dem Wald",             true),
            ("vX3!kq09-Zp",                    true),
        ];
        for (password, acceptable) in table {
            let found = strength(password, &known);
            assert_eq!(found.acceptable, acceptable, "{password:?}: {found:?}");
            assert!(
                acceptable || found.warning.is_some(),
                "{password:?}: {found:?}"
            );
        }
    }

    #[test]
    fn what_is_known_about_a_person_makes_it_weaker() {
        let password = "zyxarquillo";
        assert!(strength(password, &Known::default()).acceptable);
        assert!(!strength(password, &Known::new(["Zyxarquillo"])).acceptable);
        assert!(!strength(password, &Known::new(["zyxarquillo@mail.example"])).acceptable);
    }

    #[test]
    fn known_words_are_bounded() {
        let long = "word ".repeat(1000);
        let many: Vec<String> = (0..1000).map(|index| format!("name{index}")).collect();
        let known = Known::new(many.iter().map(String::as_str).chain([long.as_str()]));
        assert_eq!(known.words.len(), KNOWN_WORDS_MAX);
        let known = Known::new(["a".repeat(5000).as_str(), "ab", ""]);
        assert_eq!(known.words.len(), 1);
        assert_eq!(known.words[0].len(), KNOWN_CHARACTERS_MAX);
    }

    #[test]
    fn a_long_password_is_cut_for_scoring_between_characters() {
        assert!(strength(&"é1ß".repeat(300), &Known::default()).score <= 4);
        let random = "q8Zr!".to_owned() + &"x".repeat(1000);
        assert!(strength(&random, &Known::default()).acceptable);
    }

    #[tokio::test]
    async fn judging_gives_the_password_back() {
        let light = Parameters {
            memory_kib: 64,
            iterations: 1,
            lanes: 1,
        };
        let hasher = PasswordHasher::start(light, NonZeroUsize::MIN, 1).unwrap();
        let typed = Password::parse("password".to_owned()).unwrap();
        let (typed, found) = judge(&hasher, typed, Known::default()).await.unwrap();
        assert_eq!(typed.expose(), "password");
        assert_eq!((found.score, found.acceptable), (0, false));
    }
}
