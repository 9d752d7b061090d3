//! Claims of the methods that find samples and train what ranks them.

pub mod ssl_item_recommendation;
