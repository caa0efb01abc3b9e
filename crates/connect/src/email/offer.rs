//! The links of a mail that act: "Acknowledge" and "Resolve", each signed and used once.
//!
//! They lead to a page that asks again, because mail scanners open every address in a mail. Who acts by one is the
//! person that was paged, else the only recipient; a mail to several cannot tell which of them it was.

use super::{Mailbox, escape_html};
use crate::connection::{Acting, Connection};
use crate::far_end::REDACTED;
use trackside_core::effect::{Action, Effect};
use trackside_identity::act_link::{ACT_LINK_LIFETIME, ActLink, Wish};

/// One link.
pub(super) struct Offer {
    label: &'static str,
    address: String,
}

impl Offer {
    /// The same without what makes it act.
    pub(super) fn hidden(&self) -> Self {
        let (base, _) = self.address.rsplit_once('/').unwrap_or_default();
        Self { label: self.label, address: format!("{base}/{REDACTED}") }
    }
}

/// What the readers of the mail for `effect` may ask for.
pub(super) fn of(connection: &Connection, to: &[Mailbox], effect: &Effect) -> Vec<Offer> {
    let (Acting::Links(key), Some(base)) = (&connection.acting, &connection.public_url) else {
        return Vec::new();
    };
    let Some(incident) = effect.notice.incident.as_ref().filter(|incident| incident.state != "resolved") else {
        return Vec::new();
    };
    let wishes: &[(Wish, &str)] = match effect.action {
        Action::Acknowledge => &[(Wish::Resolve, "Resolve")],
        Action::Update if incident.state == "acknowledged" => &[(Wish::Resolve, "Resolve")],
        Action::Trigger | Action::Update | Action::Remind => {
            &[(Wish::Acknowledge, "Acknowledge"), (Wish::Resolve, "Resolve")]
        }
        Action::Resolve | Action::Message | Action::Test | Action::Act | Action::Job => &[],
    };
    let offer = |(wish, label): &(Wish, &'static str)| {
        let link = ActLink {
            wish: *wish,
            incident: incident.id,
            life: incident.reopened,
            delivery: effect.id,
            expires: effect.at.saturating_add(ACT_LINK_LIFETIME).unwrap_or(effect.at),
            connection: connection.name.clone(),
            to: effect.to.clone(),
            who: who(connection, to, effect),
        };
        Offer { label, address: format!("{base}/act/{}", key.seal(&link)) }
    };
    wishes.iter().map(offer).collect()
}

fn who(connection: &Connection, to: &[Mailbox], effect: &Effect) -> String {
    let paged = effect.notice.page.as_ref().and_then(|page| page.person.clone());
    match to {
        [only] => paged.unwrap_or_else(|| only.0.email.to_string()),
        _ => format!("a reader of {}", connection.name),
    }
}

/// Lines below the text; nothing when nothing is offered.
pub(super) fn text(offers: &[Offer]) -> String {
    if offers.is_empty() {
        return String::new();
    }
    let lines: String = offers.iter().map(|offer| format!("{}: {}\n", offer.label, offer.address)).collect();
    format!("\n\n{lines}Each link works once, for a week, for whoever has this mail.")
}

/// The same as markup.
pub(super) fn html(offers: &[Offer]) -> String {
    if offers.is_empty() {
        return String::new();
    }
    let link = |offer: &Offer| {
        let style = "display:inline-block;margin:0 8px 8px 0;padding:8px 14px;border:1px solid #1d2329;\
                     border-radius:6px;color:#1d2329;text-decoration:none";
        format!("<a style=\"{style}\" href=\"{}\">{}</a>\n", escape_html(&offer.address), offer.label)
    };
    let links: String = offers.iter().map(link).collect();
    format!(
        "<p>{links}</p><p style=\"color:#5a6570\">Each link works once, for a week, for whoever has this mail.</p>\n"
    )
}
