//! The engine without a window.

fn main() {}
