//! Images, launch templates and Auto Scaling groups.

mod image;
mod on_moto;
mod template;
