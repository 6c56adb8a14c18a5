//! Images, launch templates and Auto Scaling groups.

mod group;
mod image;
mod on_moto;
mod scaling;
pub mod support;
mod template;
mod traffic;
