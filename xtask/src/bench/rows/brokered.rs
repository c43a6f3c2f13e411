//! The brokered sign-ins: a whole flow from the app over our pages to a provider and back, in a browser that has never been here.

use super::super::browser::{Browser, Person};
use super::super::floor::Work;
use super::super::load::Worker;
use super::super::provider::Provider;
use super::super::server;
use super::super::workers::{Tokens, WEB_SCOPE, authorize_path, redemption, tokens};
use super::{Bench, Run, redeem_work};

/// Who comes back from the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody whom we know: their link is renewed, with the provider's new tokens.
    Returning,
    /// Somebody who has never been here: a person, a link and a consent are written, and the page of the consent is shown.
    New,
}

/// A browser in which somebody signs in through the provider, each time from a network of their own.
struct Brokered {
    browser: Browser,
    person: Person,
    port: u16,
    who: Who,
    /// Which sign-in of all this is, and how far it is to this worker's next.
    number: u32,
    stride: u32,
}

impl Brokered {
    async fn sign_in(&mut self) -> Result<Tokens, String> {
        self.browser.forget();
        self.browser.come_from(self.number);
        if self.who == Who::New {
            self.person.username = format!("n{}", self.number);
        }
        self.number = self.number.wrapping_add(self.stride);
        let path = authorize_path(server::WEB, WEB_SCOPE);
        let code = self.browser.authorize(&path, &self.person).await?;
        let request = redemption(self.port, server::WEB, &code);
        tokens(&mut self.browser.connection, &request).await
    }
}

impl Worker for Brokered {
    async fn step(&mut self) -> Result<bool, String> {
        self.sign_in().await.map(|_| true)
    }
}

impl Bench<'_> {
    pub(super) async fn brokered(&self, who: Who) -> Result<Run, String> {
        let upstream = self
            .upstream
            .ok_or("the server under test knows no provider")?;
        let mut workers = self.brokered_workers(upstream, who).await?;
        // Who returns must have been here, with consent given; and all pages are as long as they will be.
        let mut redeem = Work::PLAIN;
        for worker in &mut workers {
            let answer = worker.sign_in().await?;
            redeem = redeem_work(answer.refresh.is_some(), answer.has_id_token);
            if who == Who::Returning {
                worker.sign_in().await?;
            }
        }
        let pages = workers
            .first()
            .map(|worker| worker.browser.pages.clone())
            .unwrap_or_default();
        let floor = floor(who, &pages, redeem);
        self.beside(&floor, async || self.drive(workers).await)
            .await
    }

    async fn brokered_workers(
        &self,
        upstream: Provider,
        who: Who,
    ) -> Result<Vec<Brokered>, String> {
        let stride = u32::try_from(self.connections).map_err(|error| error.to_string())?;
        let mut workers = Vec::new();
        for number in 0..stride {
            workers.push(Brokered {
                browser: Browser::open(self.server.port).await?,
                person: Person {
                    username: format!("r{number}"),
                    password: String::new(),
                    upstream: Some(upstream),
                },
                port: self.server.port,
                who,
                number,
                stride,
            });
        }
        Ok(workers)
    }
}

/// Each answer of the flow. The departure is a row. The way back uses it up, makes one exchange, looks for the person, and writes
/// the session; for who returns also the link and its tokens, for who is new the person and the link. Consent is a row of its own.
fn floor(who: Who, pages: &[usize], redeem: Work) -> Vec<Work> {
    let page = |bytes: usize| Work {
        bytes,
        ..Work::PLAIN
    };
    let departure = Work {
        inserts: 1,
        ..Work::REDIRECT
    };
    let arrival = Work {
        exchanges: 1,
        ..Work::REDIRECT
    };
    let issue = Work {
        looks: 3,
        inserts: 1,
        ..Work::REDIRECT
    };
    let mut pages = pages.iter().map(|bytes| page(*bytes));
    let mut floor = vec![Work::REDIRECT];
    floor.extend(pages.next());
    floor.push(departure);
    match who {
        Who::Returning => floor.push(Work {
            looks: 4,
            inserts: 1,
            updates: 3,
            ..arrival
        }),
        Who::New => {
            floor.push(Work {
                looks: 3,
                inserts: 3,
                updates: 1,
                ..arrival
            });
            floor.push(Work {
                looks: 3,
                ..Work::REDIRECT
            });
            floor.extend(pages);
            floor.push(Work {
                looks: 2,
                inserts: 1,
                ..Work::REDIRECT
            });
        }
    }
    floor.extend([issue, redeem]);
    floor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_has_each_page_and_one_exchange() {
        for (who, pages, answers) in [
            (Who::Returning, &[4000][..], 6),
            (Who::New, &[4000, 5000][..], 9),
        ] {
            let floor = floor(who, pages, Work::PLAIN);
            assert_eq!(floor.len(), answers, "{who:?}");
            let exchanges: usize = floor.iter().map(|work| work.exchanges).sum();
            assert_eq!(exchanges, 1, "{who:?}");
            for bytes in pages {
                assert!(floor.iter().any(|work| work.bytes == *bytes), "{who:?}");
            }
        }
    }
}
