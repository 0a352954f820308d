//! A law, and the result of testing it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::Case;
use crate::panics::message;
use crate::verdict::{Outcome, Verdict, Violation};

/// The cases that a law applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Every rule with every setting that has named values.
    Cases,
    /// Every rule with its defaults and its presets, for laws that take long.
    Recipes,
    /// Every case on networks with dropout and batch normalisation.
    Noisy,
    /// Recipes, on networks that are wide enough to learn.
    Learners,
}

/// A law: a property that must hold for every case it applies to.
#[derive(Debug, Clone, Copy)]
pub struct Law {
    /// Name of the law, `module::function`.
    pub name: &'static str,
    /// The cases that it applies to.
    pub over: Over,
    /// Whether a case satisfies the law. A panic in this function counts as a violation.
    pub check: fn(&Case) -> Verdict,
}

/// Why some cases are excluded from a law.
#[derive(Clone)]
pub(crate) struct Exception {
    pub(crate) law: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) which: Arc<dyn Fn(&Case) -> bool>,
}

/// The result of testing a law.
#[derive(Debug, Clone)]
pub struct Report {
    /// The law's name.
    pub law: &'static str,
    /// The cases that satisfy it.
    pub kept: Vec<String>,
    /// The cases that it does not apply to.
    pub not_concerned: Vec<String>,
    /// The excluded cases, with the reason.
    pub excepted: Vec<String>,
    /// The cases that violate it, with what differed.
    pub violations: Vec<String>,
}

impl Report {
    /// Whether no case violates the law.
    pub fn is_kept(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { law, kept, not_concerned, excepted, violations } = self;
        write!(f, "{law}: tried {}, violated {}, ", kept.len() + violations.len(), violations.len())?;
        write!(f, "not concerned {}, excepted {}", not_concerned.len(), excepted.len())?;
        let lists = [
            ("violated by", violations),
            ("kept by", kept),
            ("excepted", excepted),
            ("does not concern", not_concerned),
        ];
        for (what, cases) in lists {
            cases.iter().try_for_each(|case| write!(f, "\n  {what} {case}"))?;
        }
        Ok(())
    }
}

/// Tests a law on cases.
pub(crate) fn try_on(cases: Vec<Case>, law: &Law, exceptions: &[Exception]) -> Result<Report, Violation> {
    let of_law: Vec<&Exception> = exceptions.iter().filter(|e| e.law == law.name).collect();
    if let Some(idle) = of_law.iter().find(|e| !cases.iter().any(|case| (e.which)(case))) {
        return Err(Violation(format!("{}: the exception \"{}\" selects no case", law.name, idle.reason)));
    }
    let mut report =
        Report { law: law.name, kept: vec![], not_concerned: vec![], excepted: vec![], violations: vec![] };
    for case in cases {
        if let Some(exception) = of_law.iter().find(|e| (e.which)(&case)) {
            report.excepted.push(format!("{case}: {}", exception.reason));
            continue;
        }
        match catch_unwind(AssertUnwindSafe(|| (law.check)(&case))) {
            Ok(Ok(Outcome::Tried)) => report.kept.push(case.to_string()),
            Ok(Ok(Outcome::NotConcerned)) => report.not_concerned.push(case.to_string()),
            Ok(Err(wrong)) => report.violations.push(format!("{case}: {wrong}")),
            Err(payload) => report.violations.push(format!("{case}: a panic: {}", message(payload.as_ref()))),
        }
    }
    Ok(report)
}
