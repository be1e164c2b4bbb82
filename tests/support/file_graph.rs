//! The graph of source files: an arrow leads from a file to each file whose items it names. Paths are
//! resolved through re-exports, so that an arrow ends where an item is defined, not at the facade that
//! re-exports it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Re-exports are followed this many times before a path counts as unresolved.
const MAX_HOPS: usize = 16;

/// The names of a module from the crate's root: `["ledger", "limits"]`.
type ModulePath = Vec<String>;

#[derive(Default)]
struct Module {
    file: String,
    is_facade: bool,
    children: Vec<String>,
    /// Imported or re-exported names, and the paths that they stand for.
    imports: BTreeMap<String, Vec<String>>,
    glob_imports: Vec<Vec<String>>,
    /// All other paths in the code.
    paths: Vec<Vec<String>>,
}

/// What a path leads to.
enum Item {
    Defined(String),
    Module(ModulePath),
}

/// The files of a crate, by module.
pub struct FileGraph {
    modules: BTreeMap<ModulePath, Module>,
}

impl FileGraph {
    /// Reads every file below `src`, but for the binaries; `without_tests` removes the tests from a file's
    /// text.
    pub fn read(src: &Path, files: &[(std::path::PathBuf, String)], without_tests: fn(&str) -> &str) -> Self {
        let mut modules = BTreeMap::new();
        for (path, text) in files {
            let inside = path.strip_prefix(src).unwrap();
            if inside.starts_with("bin") || inside.ends_with("tests.rs") {
                continue;
            }
            let mut module = parse(&tokens(without_tests(text)));
            module.file = inside.to_string_lossy().into_owned();
            module.is_facade = inside.ends_with("mod.rs") || inside.ends_with("lib.rs");
            let stem = inside.with_extension("");
            let mut names: ModulePath = stem.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            if module.is_facade {
                names.pop();
            }
            modules.insert(names, module);
        }
        Self { modules }
    }

    /// The arrows of each file. A facade has one to each module that it declares: a child that imports what
    /// its `mod.rs` defines closes a circle.
    pub fn arrows(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (names, module) in &self.modules {
            let imported = module.imports.values().chain(&module.glob_imports);
            let named = imported.chain(&module.paths).filter_map(|path| self.file_of(names, path));
            let declared = module.children.iter().filter_map(|child| self.child(names, child)).map(|(_, file)| file);
            let to = named.chain(declared).filter(|file| *file != module.file);
            arrows.entry(&module.file).or_default().extend(to);
        }
        arrows
    }

    /// The file that defines the item of a path, as `module` names it; none for items of other crates, and
    /// for a facade named as a module.
    fn file_of(&self, module: &ModulePath, path: &[String]) -> Option<&str> {
        let first = path.first()?.as_str();
        let own = self.modules.get(module)?;
        let local = ["crate", "self", "super"].contains(&first)
            || own.imports.contains_key(first)
            || self.child(module, first).is_some();
        match local.then(|| self.resolve(module, path, MAX_HOPS))?? {
            Item::Defined(file) => self.modules.values().find(|other| other.file == file).map(|other| &*other.file),
            Item::Module(names) => self.modules.get(&names).filter(|other| !other.is_facade).map(|other| &*other.file),
        }
    }

    fn resolve(&self, module: &ModulePath, path: &[String], hops: usize) -> Option<Item> {
        let Some((name, rest)) = path.split_first() else { return Some(Item::Module(module.clone())) };
        let hops = hops.checked_sub(1)?;
        match name.as_str() {
            "crate" => return self.resolve(&Vec::new(), rest, hops),
            "self" => return self.resolve(module, rest, hops),
            "super" => return self.resolve(&module.split_last()?.1.to_vec(), rest, hops),
            _ => {}
        }
        if let Some((child, _)) = self.child(module, name) {
            return self.resolve(&child, rest, hops);
        }
        let own = self.modules.get(module)?;
        match own.imports.get(name) {
            // An import of this very name from another crate leads nowhere.
            Some(target) if target.first() != Some(name) => {
                self.resolve(module, &[target.as_slice(), rest].concat(), hops)
            }
            _ => Some(Item::Defined(own.file.clone())),
        }
    }

    fn child(&self, module: &ModulePath, name: &str) -> Option<(ModulePath, &str)> {
        let child = [module.as_slice(), &[name.to_owned()]].concat();
        self.modules.get(&child).map(|found| (child, &*found.file))
    }
}

/// The groups of files that reach each other, each sorted; a group of one is no circle.
pub fn circles<'f>(arrows: &BTreeMap<&'f str, BTreeSet<&'f str>>) -> Vec<Vec<&'f str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = arrows.keys().map(|file| (*file, reachable(arrows, file))).collect();
    let mut groups = BTreeSet::new();
    for (file, reached) in &reach {
        let group: Vec<&str> = reached.iter().filter(|other| reach[**other].contains(file)).copied().collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

fn reachable<'f>(arrows: &BTreeMap<&'f str, BTreeSet<&'f str>>, from: &str) -> BTreeSet<&'f str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&'f str> = arrows[from].iter().copied().collect();
    while let Some(file) = open.pop() {
        if reached.insert(file) {
            open.extend(&arrows[file]);
        }
    }
    reached
}

/// The folder that holds all these files: the last one that their paths have in common.
pub fn common_folder(files: &[&str]) -> String {
    let folders = |file: &str| Path::new(file).parent().unwrap().to_path_buf();
    let mut common = folders(files[0]);
    while !files.iter().all(|file| folders(file).starts_with(&common)) {
        common.pop();
    }
    common.to_string_lossy().into_owned()
}

/// Identifiers and punctuation; comments, strings and characters are left out.
fn tokens(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    let next = |at: usize| letters.get(at + 1).copied().unwrap_or(' ');
    while let Some(letter) = letters.get(at).copied() {
        let is_raw_string = letter == 'r'
            && (next(at) == '"' || (next(at) == '#' && [Some(&'"'), Some(&'#')].contains(&letters.get(at + 2))));
        if letter == '/' && next(at) == '/' {
            at += letters[at..].iter().take_while(|letter| **letter != '\n').count();
        } else if is_raw_string {
            let hashes = letters[at + 1..].iter().take_while(|letter| **letter == '#').count();
            let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let body = at + hashes + 2;
            at = body + letters[body..].windows(end.len()).position(|window| window == end).unwrap() + end.len();
        } else if letter == '"' {
            at += 1;
            while letters[at] != '"' {
                at += if letters[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if letter == '\'' && (next(at) == '\\' || letters.get(at + 2) == Some(&'\'')) {
            at += 2;
            at += letters[at..].iter().take_while(|letter| **letter != '\'').count() + 1;
        } else if letter.is_alphanumeric() || letter == '_' {
            let word: String =
                letters[at..].iter().take_while(|letter| letter.is_alphanumeric() || **letter == '_').collect();
            at += word.chars().count();
            tokens.push(word);
        } else if letter == ':' && next(at) == ':' {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !letter.is_whitespace() {
                tokens.push(letter.to_string());
            }
            at += 1;
        }
    }
    tokens
}

fn parse(tokens: &[String]) -> Module {
    let mut module = Module::default();
    let mut at = 0;
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    while at < tokens.len() {
        if token(at) == "mod" && token(at + 2) == ";" {
            module.children.push(token(at + 1).to_owned());
            at += 3;
        } else if token(at) == "use" && is_name(token(at + 1)) {
            at = parse_use(tokens, at + 1, &[], &mut module);
        } else if is_name(token(at)) && token(at + 1) == "::" {
            let mut path = vec![token(at).to_owned()];
            at += 1;
            while token(at) == "::" && is_name(token(at + 1)) {
                path.push(token(at + 1).to_owned());
                at += 2;
            }
            module.paths.push(path);
            at += usize::from(token(at) == "::");
        } else {
            at += 1;
        }
    }
    module
}

/// Reads one branch of a `use` tree from `at` on; gives the place after it.
fn parse_use(tokens: &[String], mut at: usize, before: &[String], module: &mut Module) -> usize {
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "*" => {
                module.glob_imports.push(path);
                return at + 1;
            }
            "{" => {
                at += 1;
                while tokens[at] != "}" {
                    at = parse_use(tokens, at, &path, module);
                    at += usize::from(tokens[at] == ",");
                }
                return at + 1;
            }
            "as" => {
                module.imports.insert(tokens[at + 1].clone(), path);
                return at + 2;
            }
            name if is_name(name) => {
                // `a::{self}` names the module `a`.
                if name != "self" || path.is_empty() {
                    path.push(name.to_owned());
                }
                at += 1;
            }
            _ => break,
        }
    }
    module.imports.insert(path.last().unwrap().clone(), path);
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// A crate of these files, for tests of the graph itself.
pub fn graph_of(files: &[(&str, &str)]) -> FileGraph {
    let files: Vec<_> = files.iter().map(|(path, text)| (Path::new("src").join(path), (*text).to_owned())).collect();
    FileGraph::read(Path::new("src"), &files, |text| text)
}

/// The text of all files below a folder.
pub fn read_folder(folder: &Path) -> Vec<(std::path::PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}
