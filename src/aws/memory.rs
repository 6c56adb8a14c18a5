//! What a run remembers of reads: they are answered from there when it is run again.

use std::sync::Arc;

use aws_smithy_runtime_api::{
    client::orchestrator::HttpResponse,
    http::{Headers, StatusCode},
};
use aws_smithy_types::body::SdkBody;

use crate::run::Answer;

tokio::task_local! {
    /// Asked about each request of the task that only reads.
    pub static MEMORY: Arc<dyn Memory>;
}

/// Remembers the answers to requests, by the digests of what they ask.
pub trait Memory: Send + Sync {
    /// What was answered before.
    fn recall(&self, request_sha256: &str) -> Option<Answer>;

    /// This was answered now.
    fn note(&self, request_sha256: String, answer: Answer);
}

/// The memory of this task, if it has one.
pub(super) fn here() -> Option<Arc<dyn Memory>> {
    MEMORY.try_with(Arc::clone).ok()
}

/// A reply as it is remembered.
pub(super) fn answer_of(reply: &HttpResponse) -> Answer {
    Answer {
        status: reply.status().as_u16(),
        content_type: reply.headers().get("content-type").unwrap_or_default().to_owned(),
        body: reply.body().bytes().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()),
    }
}

/// The reply that is remembered; `None` if it is not one.
pub(super) fn reply_of(answer: Answer) -> Option<HttpResponse> {
    let Answer { status, content_type, body } = answer;
    let mut reply = HttpResponse::new(StatusCode::try_from(status).ok()?, SdkBody::from(body?));
    let mut headers = Headers::new();
    headers.try_append("content-type", content_type).ok()?;
    *reply.headers_mut() = headers;
    Some(reply)
}
