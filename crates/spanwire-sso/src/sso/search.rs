//! Searching for users (reference sso 2.5.9).

use spanwire_crypto::Secret;

use super::Sso;
use super::users::UserView;
use crate::call::Call;
use crate::directory::{Entry, Wanted};
use crate::error::{Result, SsoError};
use crate::names;
use crate::operation::Operation;
use crate::record::{Approval, SignUp};
use crate::status::Code;

/// What is searched for: `user_id` before `username` before everything else, which is combined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// One user.
    pub user_id: Option<String>,
    /// One user.
    pub username: Option<String>,
    /// Exactly this address.
    pub email: Option<String>,
    /// Shown to people.
    pub display_name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// How far the sign-up is.
    pub sign_up_status: Option<String>,
    /// Whether a super-user has approved.
    pub approval_status: Option<String>,
    /// Whether one of the names is enough.
    pub any_name: bool,
    /// Whether names are whole; otherwise a part is enough.
    pub is_name_exact: bool,
    /// The page, from 1.
    pub cur_page: i64,
    /// Users on a page; that of the settings if `None`.
    pub page_size: Option<i64>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            user_id: None,
            username: None,
            email: None,
            display_name: None,
            first_name: None,
            middle_name: None,
            last_name: None,
            sign_up_status: None,
            approval_status: None,
            any_name: false,
            is_name_exact: true,
            cur_page: 1,
            page_size: None,
        }
    }
}

/// A page of users.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// How many there are on all pages.
    pub total: u64,
    /// How many pages there are.
    pub num_pages: u64,
    /// Users on a page.
    pub page_size: u64,
    /// Which page it is, from 1.
    pub cur_page: u64,
    /// The users.
    pub result: Vec<UserView>,
}

impl Sso {
    /// Searches for users, for super-users, by display name, user name, time of the sign-up and id.
    ///
    /// # Errors
    /// When the caller may not; [`Code::InvalidInput`] for statuses that do not exist, and for an address where there is no
    /// index of encrypted ones.
    pub fn search(&self, call: &Call, token: &Secret, search: &Search) -> Result<Page> {
        self.run(call, Operation::Search, |trail| {
            self.super_caller(trail, token)?;
            trail.target.clear();
            self.find(search)
        })
    }

    /// The same for operators.
    ///
    /// # Errors
    /// [`Code::InvalidInput`].
    pub fn search_as_operator(&self, call: &Call, search: &Search) -> Result<Page> {
        self.record(call, Operation::Search.endpoint().audit, |_| self.find(search))
    }

    fn find(&self, search: &Search) -> Result<Page> {
        let settings = self.settings();
        let most = i64::from(settings.search.max_page_size);
        let page_size = search.page_size.filter(|size| *size > 0);
        let page_size = page_size.unwrap_or(i64::from(settings.search.default_page_size)).min(most);
        let page_size = usize::try_from(page_size).unwrap_or(1);
        let cur_page = usize::try_from(search.cur_page.max(1)).unwrap_or(1);
        let skip = (cur_page - 1).saturating_mul(page_size);
        let (total, ids) = match (&search.user_id, &search.username) {
            (Some(id), _) => one(self.store().user(id)?.map(|user| user.user_id.clone()), skip),
            (None, Some(name)) => one(
                self.store().user_named(self.0.sealer.digest("name", &names::fold(name)))?,
                skip,
            ),
            (None, None) => {
                let criteria = self.criteria(search)?;
                self.0.directory.find(|entry| criteria.matches(entry), skip, page_size)
            }
        };
        let mut result = Vec::with_capacity(ids.len());
        for id in ids {
            // One may be gone since.
            if let Some(user) = self.store().user(&id)? {
                result.push(self.view(&user, true)?);
            }
        }
        let (total, page_size, cur_page) = (total as u64, page_size as u64, cur_page as u64);
        Ok(Page { total, num_pages: total.div_ceil(page_size), page_size, cur_page, result })
    }

    fn criteria(&self, search: &Search) -> Result<Criteria> {
        let settings = self.settings();
        let invalid = || SsoError::Refused(Code::InvalidInput);
        let mut names = Vec::new();
        for (index, name) in
            [&search.display_name, &search.first_name, &search.middle_name, &search.last_name]
                .into_iter()
                .enumerate()
        {
            match name.as_deref().map(str::trim) {
                Some("") => return Err(invalid()),
                Some(name) => names.push((index, Wanted::new(name))),
                None => {}
            }
        }
        let email = match &search.email {
            Some(_) if settings.encrypt_email && !settings.email_index => return Err(invalid()),
            Some(email) => Some((self.email_digest(email), email.trim().to_owned())),
            None => None,
        };
        let sign_up = search
            .sign_up_status
            .as_deref()
            .map(|it| SignUp::parse(it).ok_or_else(invalid))
            .transpose()?;
        let approval = search
            .approval_status
            .as_deref()
            .map(|it| Approval::parse(it).ok_or_else(invalid))
            .transpose()?;
        Ok(Criteria {
            names,
            any_name: search.any_name,
            is_exact: search.is_name_exact,
            email,
            sign_up,
            approval,
        })
    }
}

struct Criteria {
    /// Which of [`Entry::names`], and what it should be.
    names: Vec<(usize, Wanted)>,
    any_name: bool,
    is_exact: bool,
    email: Option<(crate::record::Digest, String)>,
    sign_up: Option<SignUp>,
    approval: Option<Approval>,
}

impl Criteria {
    fn matches(&self, entry: &Entry) -> bool {
        let is = |(index, wanted): &(usize, Wanted)| {
            entry.names.get(*index).and_then(Option::as_ref).is_some_and(|name| {
                if self.is_exact { wanted.is(name) } else { wanted.is_part_of(name) }
            })
        };
        let names = match (self.names.is_empty(), self.any_name) {
            (true, _) => true,
            (false, true) => self.names.iter().any(is),
            (false, false) => self.names.iter().all(is),
        };
        names
            && self.sign_up.is_none_or(|wanted| entry.sign_up == wanted)
            && self.approval.is_none_or(|wanted| entry.approval == wanted)
            && self.email.as_ref().is_none_or(|(digest, text)| {
                entry.email == Some(*digest) || entry.plain_email.as_deref() == Some(text)
            })
    }
}

fn one(id: Option<String>, skip: usize) -> (usize, Vec<String>) {
    let all: Vec<_> = id.into_iter().collect();
    (all.len(), if skip == 0 { all } else { Vec::new() })
}
