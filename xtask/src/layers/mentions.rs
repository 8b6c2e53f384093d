//! Finds the paths in a file: in `use` lines, in code, and in the tokens of macros.

use proc_macro2::TokenTree;
use syn::{
    Ident, ItemMod, ItemUse, Macro, Path, Result, Token, UseTree, Visibility,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::source::SourceFile;

/// A path in the source.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    /// The module that contains it.
    pub(crate) module: Vec<String>,
    /// The path from the crate's root if it begins with `crate`, `self` or `super`, else from `module`.
    pub(crate) path: Vec<String>,
    pub(crate) is_absolute: bool,
    /// Its name in `module`, if it is in a `use` line.
    pub(crate) name: Option<String>,
    pub(crate) line: usize,
}

impl Mention {
    /// Finds the paths of a file, in the order of its lines, except for paths inside macros.
    pub(crate) fn all(file: &SourceFile) -> Vec<Self> {
        let mut finder = Finder { module: file.module.clone(), mentions: Vec::new() };
        file.items.iter().for_each(|item| finder.visit_item(item));
        finder.mentions
    }
}

struct Finder {
    module: Vec<String>,
    mentions: Vec<Mention>,
}

impl Finder {
    fn add(&mut self, segments: &[&Ident], name: Option<&Ident>) {
        let Some(first) = segments.first() else { return };
        let mut path: Vec<_> = segments.iter().map(|segment| segment.unraw().to_string()).collect();
        let mut base = match path.first().map(String::as_str) {
            Some("crate") => Some(Vec::new()),
            Some("self" | "super") => Some(self.module.clone()),
            _ => None,
        };
        if let Some(base) = &mut base {
            let keywords = path.iter().take_while(|segment| ["crate", "self", "super"].contains(&segment.as_str()));
            for keyword in path.drain(..keywords.count()) {
                if keyword == "super" {
                    base.pop();
                }
            }
        }
        self.mentions.push(Mention {
            module: self.module.clone(),
            is_absolute: base.is_some(),
            path: base.into_iter().flatten().chain(path).collect(),
            name: name.map(|name| name.unraw().to_string()),
            line: first.span().start().line,
        });
    }

    fn add_tree<'a>(&mut self, tree: &'a UseTree, prefix: &mut Vec<&'a Ident>) {
        match tree {
            UseTree::Path(tree) => {
                prefix.push(&tree.ident);
                self.add_tree(&tree.tree, prefix);
                prefix.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, prefix)),
            UseTree::Glob(_) => self.add(prefix, None),
            UseTree::Name(tree) if tree.ident == "self" => self.add(prefix, prefix.last().copied()),
            UseTree::Name(tree) => self.add(&[prefix, [&tree.ident].as_slice()].concat(), Some(&tree.ident)),
            UseTree::Rename(tree) if tree.ident == "self" => self.add(prefix, Some(&tree.rename)),
            UseTree::Rename(tree) => self.add(&[prefix, [&tree.ident].as_slice()].concat(), Some(&tree.rename)),
        }
    }

    /// Treats any names between `::` in a macro as a path, because its grammar is unknown.
    fn scan(&mut self, input: ParseStream<'_>) -> Result<()> {
        while !input.is_empty() {
            if input.peek(Ident::peek_any) {
                let segments = segments(input)?;
                self.add(&segments.iter().collect::<Vec<_>>(), None);
                continue;
            }
            match input.parse()? {
                TokenTree::Group(group) => (|input: ParseStream<'_>| self.scan(input)).parse2(group.stream())?,
                // A field, a method or a macro's parameter is not a name.
                TokenTree::Punct(punct) if ['.', '$'].contains(&punct.as_char()) && !input.peek(Token![crate]) => {
                    input.call(Ident::parse_any).ok();
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn segments(input: ParseStream<'_>) -> Result<Vec<Ident>> {
    let mut segments = vec![input.call(Ident::parse_any)?];
    while input.peek(Token![::]) {
        input.parse::<Token![::]>()?;
        if !input.peek(Ident::peek_any) {
            break;
        }
        segments.push(input.call(Ident::parse_any)?);
    }
    Ok(segments)
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.unraw().to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        // A path with a leading `::` is in another crate.
        if item.leading_colon.is_none() {
            self.add_tree(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            self.add(&path.segments.iter().map(|segment| &segment.ident).collect::<Vec<_>>(), None);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        // A file that was parsed consists of valid tokens, so there is no error here.
        (|input: ParseStream<'_>| self.scan(input)).parse2(call.tokens.clone()).ok();
        visit::visit_macro(self, call);
    }

    /// Skips visibilities: `pub(in crate::web)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
