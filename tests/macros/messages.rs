//! What the compiler says of what is written wrong. Only messages of ours are held here, some in the compiler's frame.

#[test]
fn errors_are_in_plain_words_and_where_they_belong() {
    trybuild::TestCases::new().compile_fail("messages/*.rs");
}
