//! New passwords: judged, then hashed, on the bounded pool.

use super::context::{Ctx, Shared};
use super::reply::Failure;
use crate::outbound::password_hash::{HashError, Password, SALT_BYTES};
use crate::outbound::strength::{self, Known, Strength};
use crate::ui::parts::{Field, FieldErrors};
use vestibule_core::id::Chance as _;

/// Judges a typed password, given what an attacker may know about the person. Gives it back only where it may be used; else the
/// form's errors say why.
pub(crate) async fn judged(
    ctx: &Ctx,
    typed: Option<&str>,
    about: &[&str],
    errors: &mut FieldErrors,
) -> Result<(Option<Password>, Option<Strength>), Failure> {
    let password = match Password::parse(typed.unwrap_or_default().to_owned()) {
        Ok(password) => password,
        Err(error) => {
            errors.push(Field::Password, error.to_string());
            return Ok((None, None));
        }
    };
    let known = Known::new(about.iter().copied());
    let (password, strength) = strength::judge(&ctx.shared.hasher, password, known).await?;
    if strength.acceptable {
        return Ok((Some(password), Some(strength)));
    }
    errors.push(
        Field::Password,
        "Choose a password that is harder to guess.",
    );
    Ok((None, Some(strength)))
}

/// Hashes a password under a fresh salt.
pub(crate) async fn hash(shared: &Shared, password: Password) -> Result<String, HashError> {
    let mut salt = [0; SALT_BYTES];
    shared.chance.fill(&mut salt);
    shared.hasher.hash(password, salt).await
}
