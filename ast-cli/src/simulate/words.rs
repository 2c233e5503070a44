//! Describes the table in sentences, derived from its numbers.

use super::measure::{Measured, Row, STRETCH, percent};

/// The sentences for a case.
pub(super) fn sentences(case: &Measured) -> Vec<String> {
    let mut sentences = vec![format!("{}, target {}.", case.case, percent(case.target))];
    sentences.extend(case.policies.iter().map(|row| held(row, case)));
    sentences.extend(against_the_quantile(case));
    let starved = |row: &Row| Some(format!("{} {}", row.policy, percent(row.starved_rate?)));
    let starved: Vec<String> = case.policies.iter().filter_map(starved).collect();
    if !starved.is_empty() {
        sentences.push(format!("Rates while most samples were queued: {}.", starved.join(", ")));
    }
    sentences
}

/// Describes how a policy holds the target.
fn held(row: &Row, case: &Measured) -> String {
    let (name, off, rate) = (row.policy, row.mean_rate - case.target, percent(row.mean_rate));
    let side = if off > 0.0 { "too many" } else { "too few" };
    match row.settled_after {
        _ if off.abs() > case.tolerance => format!("{name} does not hold the target: {rate}, {} {side}.", points(off)),
        None => format!("{name} reaches the target on average ({rate}) but never settles."),
        Some(after) if after <= STRETCH && row.overshoot <= 2.0 * case.noise => {
            format!("{name} holds the target ({rate}).")
        }
        Some(after) => {
            format!(
                "{name} holds the target ({rate}) after {after} chunks, with an overshoot of {}.",
                points(row.overshoot)
            )
        }
    }
}

/// Compares feedback (`ast`) with feed-forward alone (`quantile`).
fn against_the_quantile(case: &Measured) -> Option<String> {
    let row = |name: &str| case.policies.iter().find(|row| row.policy == name);
    let (ast, quantile) = (row("ast")?, row("quantile")?);
    let (apart, chance) = (points(ast.mean_rate - quantile.mean_rate), points(case.tolerance));
    let off = |row: &Row| (row.mean_rate - case.target).abs();
    let same_end = (ast.mean_rate - quantile.mean_rate).abs() <= case.tolerance;
    let same_time = match (ast.settled_after, quantile.settled_after) {
        (Some(ast), Some(quantile)) => ast.abs_diff(quantile) <= STRETCH,
        (ast, quantile) => ast == quantile,
    };
    let same_overshoot = (ast.overshoot - quantile.overshoot).abs() <= case.noise;
    Some(if same_end && same_time && same_overshoot {
        format!("ast equals quantile to within noise ({apart}; up to {chance} may be chance).")
    } else if same_end {
        format!(
            "ast ends at the rate of quantile ({apart} apart; up to {chance} may be chance), but gets there differently."
        )
    } else {
        let (better, worse) = if off(ast) < off(quantile) { ("ast", "quantile") } else { ("quantile", "ast") };
        format!("{better} is closer to the target than {worse}: they are {apart} apart (up to {chance} may be chance).")
    })
}

fn points(share: f64) -> String {
    format!("{:.1} points", 100.0 * share.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(policy: &'static str, mean_rate: f64, settled_after: Option<usize>, overshoot: f64) -> Row {
        Row { policy, mean_rate, rms_error: 0.01, settled_after, overshoot, threshold: 0.9, starved_rate: None }
    }

    fn text(policies: Vec<Row>) -> String {
        let (case, chunks, target, event, tolerance, noise) = ("step", 600, 0.1, 300, 0.006, 0.026);
        sentences(&Measured { case, chunks, target, event, tolerance, noise, policies }).join(" ")
    }

    #[test]
    fn sentences_tell_whether_a_policy_holds_the_target() {
        let text = text(vec![
            row("ast", 0.101, Some(3), 0.04),
            row("original", 0.137, Some(1), 0.0),
            row("fixed-threshold", 0.104, None, 0.03),
            row("quantile", 0.099, Some(40), 0.25),
        ]);
        for words in [
            "step, target 10.0 %.",
            "ast holds the target (10.1 %).",
            "original does not hold the target: 13.7 %, 3.7 points too many.",
            "fixed-threshold reaches the target on average (10.4 %) but never settles.",
            "quantile holds the target (9.9 %) after 40 chunks, with an overshoot of 25.0 points.",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let starved = Row { starved_rate: Some(0.048), ..row("ast", 0.1, Some(0), 0.0) };
        assert!(self::text(vec![starved]).ends_with("were queued: ast 4.8 %."));
    }

    #[test]
    fn ast_is_compared_with_the_quantile() {
        let against =
            |ast, over, quantile| text(vec![row("ast", ast, Some(0), over), row("quantile", quantile, Some(5), 0.04)]);
        let equal = "ast equals quantile to within noise (0.2 points; up to 0.6 points may be chance).";
        assert!(against(0.101, 0.05, 0.099).ends_with(equal));
        assert!(against(0.101, 0.12, 0.099).contains("ast ends at the rate of quantile (0.2 points apart;"));
        assert!(
            against(0.1, 0.05, 0.087).contains("ast is closer to the target than quantile: they are 1.3 points apart")
        );
        assert!(against(0.12, 0.05, 0.1).contains("quantile is closer to the target than ast"));
    }
}
