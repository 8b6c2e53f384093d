//! Values of limits as texts and tables, in a limits file and in requests of operators.

mod fields_name;
#[cfg(feature = "admin")]
mod new_limit;
mod numbers;
mod penalty;
mod strategy;

#[cfg(feature = "admin")]
pub(crate) use self::new_limit::WrittenLimit;
pub(crate) use self::{fields_name::FieldsName, numbers::Whole, penalty::PenaltyTable, strategy::StrategyTable};
