//! Tests of the whole pipeline, on pictures that are made here and a few that only other encoders make.

mod limits;
mod orientation;
mod refusals;
mod robust;
mod samples;
mod strip;
