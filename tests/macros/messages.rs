//! Checks the compile errors for wrong attributes. Only traffik's own messages are held here, some inside the
//! compiler's frame.

#[test]
fn wrong_attribute_reports_a_plain_error_at_its_span() {
    trybuild::TestCases::new().compile_fail("messages/*.rs");
}
