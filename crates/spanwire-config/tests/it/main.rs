//! Files as people write them: the whole way from a path to a set of objects.

#[cfg(test)]
mod good;
#[cfg(test)]
mod mistakes;
