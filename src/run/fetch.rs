//! Reads of services that have no SDK crate here, and reads of secrets.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::{Ctx, replay::sharing};
use crate::ops::Error;

impl Ctx {
    /// [`read`](Self::read) by name: `ctx.fetch::<Reply>("ecs:DescribeServices", &input)`. Input and reply are as AWS documents
    /// them; a member that is null or an empty element of XML is left out.
    ///
    /// # Errors
    /// As `read`.
    pub async fn fetch<O>(&self, call: &'static str, input: &impl Serialize) -> Result<O, Error>
    where
        O: DeserializeOwned + fmt::Debug + Send + Sync + 'static,
    {
        self.read(call, || self.aws().call(call, input).send()).await
    }

    /// A read of something secret: it is not remembered, so that nobody finds it in the journal, and read again where a run
    /// goes on. What it found is for [`hide`](Self::hide).
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn unremembered<T>(&self, read: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        sharing(read).await
    }

    /// From here on this text is shown nowhere: not in events, errors or the journal.
    pub fn hide(&self, secret: &str) {
        self.run.secrets().hide(secret);
    }

    /// Whether something that is hidden is in it.
    pub fn holds_secret(&self, text: &str) -> bool {
        self.run.secrets().mask(text) != text
    }
}
