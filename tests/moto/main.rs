//! Operations against a moto server: the same contract as on the simulated AWS, judged by somebody
//! else's idea of AWS and read back with boto3. What moto cannot do is exempt by one list,
//! `exemptions`.

#[path = "../support/account.rs"]
mod account;
#[path = "../support/moto.rs"]
mod moto;

mod network;
