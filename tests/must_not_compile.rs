//! Programs that break the straight line must not compile: the proof is the compiler's own message.

#[test]
fn programs_that_break_the_straight_line_do_not_compile() {
    let programs = trybuild::TestCases::new();
    programs.compile_fail("tests/must_not_compile/*.rs");
}
