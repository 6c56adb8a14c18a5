//! One walk over a syntax tree, in the order in which it runs, with closures where they stand.

use std::collections::BTreeSet;

use rhai::{AST, ASTFlags, ASTNode, BinaryExpr, Dynamic, Expr, FnAccess, FnCallExpr, FnPtr, Position, Stmt};

use super::{
    super::{Place, Vocabulary, syntax},
    Call, Closure, Entry, Function, Import, Outline, Shape, Style, Written,
    functions::{can_be_called, is_keyword},
    outline::{Kept, Names, Properties},
};

/// Methods that leave their receiver as it is.
const READING: [&str; 20] = [
    "all",
    "contains",
    "ends_with",
    "filter",
    "find",
    "get",
    "index_of",
    "is_empty",
    "is_shared",
    "keys",
    "len",
    "map",
    "reduce",
    "some",
    "starts_with",
    "to_debug",
    "to_json",
    "to_string",
    "type_of",
    "values",
];

/// Methods that keep what they are given in their receiver.
const KEEPING: [&str; 3] = ["insert", "push", "set"];

impl Outline {
    /// Of a script that compiles. `host` names the functions that take their arguments by value; what stands at
    /// `undefined` is not known.
    pub(in crate::script) fn of(file: &str, ast: &AST, host: &Vocabulary, undefined: &BTreeSet<Position>) -> Self {
        let mut walk = Walk {
            ast,
            host,
            undefined,
            outline: Self { file: file.into(), units: vec![Names::new()], ..Self::default() },
            unit: 0,
            conditions: 0,
            tries: 0,
            has_left: false,
            closures: Vec::new(),
            loops: Vec::new(),
        };
        walk.statements(ast.statements(), true);
        for function in ast.iter_fn_def().filter(|function| !syntax::is_closure(&function.name)) {
            walk.outline.functions.push(Function {
                name: function.name.to_string(),
                parameters: function.params.len(),
                parameter_names: function.params.iter().map(ToString::to_string).collect(),
                private: function.access == FnAccess::Private,
            });
            walk.unit = walk.outline.units.len();
            walk.outline.units.push(Names::new());
            walk.has_left = false;
            for parameter in &function.params {
                walk.bind(parameter, None);
            }
            walk.body(&function.name, function.params.len());
        }
        walk.outline.settle();
        walk.outline
    }
}

struct Walk<'a> {
    ast: &'a AST,
    host: &'a Vocabulary,
    undefined: &'a BTreeSet<Position>,
    outline: Outline,
    unit: usize,
    /// How many conditions and loops decide whether what comes now is run.
    conditions: usize,
    /// How many `try` blocks are around.
    tries: usize,
    /// Whether the unit may have been left before what comes now.
    has_left: bool,
    /// The closures around, outermost first.
    closures: Vec<usize>,
    /// The `for` loops around, outermost first.
    loops: Vec<Loop>,
}

/// A `for` loop.
#[derive(Default)]
struct Loop {
    variables: Vec<String>,
    /// What is declared within: it lives for one turn.
    bound: BTreeSet<String>,
    /// What is looked at within.
    read: BTreeSet<String>,
    /// Closures that were put away: where, and with which variable of the loop.
    kept: Vec<(String, Kept)>,
}

/// A step of `root.a.b(…)[c]`.
enum Step<'a> {
    Property(&'a str, Position),
    Method(&'a FnCallExpr, Position),
    Index(&'a Expr),
}

impl Walk<'_> {
    /// The body of a function of the tree.
    fn body(&mut self, name: &str, parameters: usize) {
        let body = syntax::only(self.ast, name, parameters);
        let mut roots = 0;
        body.walk(&mut |path: &[ASTNode<'_>]| {
            roots += usize::from(path.len() == 1);
            true
        });
        let mut seen = 0;
        body.walk(&mut |path: &[ASTNode<'_>]| {
            if let [ASTNode::Stmt(statement)] = path {
                seen += 1;
                self.statement(statement, seen == roots);
            }
            true
        });
    }

    /// `used`: whether the value of the last one goes anywhere.
    fn statements(&mut self, statements: &[Stmt], used: bool) {
        for (index, statement) in statements.iter().enumerate() {
            self.statement(statement, used && index + 1 == statements.len());
        }
    }

    fn statement(&mut self, statement: &Stmt, used: bool) {
        match statement {
            Stmt::If(flow, _) => {
                self.expression(&flow.expr);
                self.perhaps(|walk| {
                    walk.statements(flow.body.statements(), used);
                    walk.statements(flow.branch.statements(), used);
                });
            }
            Stmt::Switch(switch, _) => {
                let (value, cases) = &**switch;
                self.expression(value);
                self.perhaps(|walk| {
                    for case in &cases.expressions {
                        walk.expression(&case.lhs);
                        walk.expression(&case.rhs);
                    }
                });
            }
            Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                self.outline.ends.push(self.outline.calls.len());
                self.expression(&flow.expr);
                self.perhaps(|walk| walk.statements(flow.body.statements(), false));
            }
            Stmt::For(parts, _) => {
                let (variable, counter, flow) = &**parts;
                self.expression(&flow.expr);
                let variables = [Some(variable), counter.as_ref()].into_iter().flatten();
                self.each_turn(variables.map(|name| name.name.to_string()).collect(), flow.body.statements());
            }
            Stmt::Var(parts, flags, _) => {
                let (name, value, _) = &**parts;
                let written = self.expression(value);
                if let Shape::Result(call) = written.shape {
                    self.outline.calls[call].bound_to = Some(name.name.to_string());
                }
                if flags.contains(ASTFlags::EXPORTED) {
                    self.outline.exports.insert(name.name.to_string());
                }
                self.bind(&name.name, Some(written));
            }
            Stmt::Assignment(parts) => self.assignment(&parts.1, parts.0.is_op_assignment()),
            Stmt::FnCall(call, position) => {
                let written = self.call(call, *position);
                self.drop_unless(used, &written);
            }
            Stmt::Expr(value) => {
                let written = self.expression(value);
                self.drop_unless(used, &written);
            }
            Stmt::Block(block) => self.statements(block.statements(), used),
            Stmt::TryCatch(flow, _) => self.perhaps(|walk| {
                walk.tries += 1;
                walk.statements(flow.body.statements(), used);
                walk.tries -= 1;
                if let Expr::Variable(error, ..) = &flow.expr {
                    walk.bind(&error.1, None);
                }
                walk.statements(flow.branch.statements(), used);
            }),
            Stmt::BreakLoop(Some(value), ..) => {
                self.expression(value);
            }
            Stmt::Return(value, flags, _) => {
                value.iter().for_each(|value| {
                    self.expression(value);
                });
                if flags.contains(ASTFlags::BREAK) {
                    self.outline.ends.push(self.outline.calls.len());
                } else if self.closures.is_empty() {
                    self.has_left = true;
                }
            }
            Stmt::Import(parts, _) => {
                let (path, alias) = &**parts;
                let written = self.expression(path);
                self.outline.imports.push(Import {
                    path: written.text(),
                    place: self.place(start(path)),
                    alias: (!alias.name.is_empty()).then(|| alias.name.to_string()),
                    at_top: self.unit == 0 && self.closures.is_empty(),
                });
            }
            Stmt::Export(parts, _) => {
                let (name, alias) = &**parts;
                self.read(&name.name);
                let exported = if alias.name.is_empty() { &name.name } else { &alias.name };
                self.outline.exports.insert(exported.to_string());
                self.outline.exports.insert(name.name.to_string());
            }
            // `Share` prepares captured variables: the closure itself says which.
            _ => {}
        }
    }

    /// What may be run, or not.
    fn perhaps(&mut self, what: impl FnOnce(&mut Self)) {
        self.conditions += 1;
        what(self);
        self.conditions -= 1;
    }

    fn each_turn(&mut self, variables: Vec<String>, body: &[Stmt]) {
        for variable in &variables {
            self.bind(variable, None);
        }
        self.loops.push(Loop { variables, ..Loop::default() });
        self.perhaps(|walk| walk.statements(body, false));
        if let Some(done) = self.loops.pop() {
            // What is looked at within the loop may be used up in the same turn.
            let lasting = done.kept.into_iter().filter(|(collection, _)| !done.read.contains(collection));
            self.outline.kept.extend(lasting.map(|(_, kept)| kept));
        }
    }

    fn assignment(&mut self, sides: &BinaryExpr, extends: bool) {
        let written = self.expression(&sides.rhs);
        match &sides.lhs {
            Expr::Variable(variable, ..) => {
                if extends {
                    self.keep(&variable.1, &written);
                }
                self.change(&variable.1);
            }
            Expr::Dot(..) | Expr::Index(..) => self.chain(&sides.lhs, Some(&written)).map_or((), drop),
            other => {
                self.expression(other);
            }
        }
    }

    fn expression(&mut self, expression: &Expr) -> Written {
        let position = start(expression);
        let shape = match expression {
            Expr::Unit(position) if self.undefined.contains(position) => Shape::Computed,
            Expr::BoolConstant(..)
            | Expr::IntegerConstant(..)
            | Expr::FloatConstant(..)
            | Expr::CharConstant(..)
            | Expr::Unit(_) => expression.get_literal_value(None).map_or(Shape::Computed, Shape::Plain),
            Expr::StringConstant(text, _) => {
                self.outline.words.insert(text.to_string());
                self.outline.texts.insert(text.to_string());
                Shape::Plain(text.clone().into())
            }
            Expr::DynamicConstant(value, position) => self.constant(value, &[], *position),
            Expr::InterpolatedString(parts, _) => {
                parts.iter().for_each(|part| drop(self.expression(part)));
                Shape::Computed
            }
            Expr::Array(items, _) => Shape::Array(items.iter().map(|item| self.expression(item)).collect()),
            Expr::Map(map, _) => Shape::Map(
                map.0
                    .iter()
                    .map(|(key, value)| {
                        self.outline.words.insert(key.name.to_string());
                        Entry { key: key.name.to_string(), position: key.pos, value: self.expression(value) }
                    })
                    .collect(),
            ),
            Expr::Variable(variable, ..) => {
                let (namespace, name) = (&variable.2, &variable.1);
                if namespace.is_empty() {
                    self.read(name);
                    Shape::Variable(name.to_string())
                } else {
                    self.outline.globals.insert(name.to_string());
                    Shape::Computed
                }
            }
            Expr::Stmt(block) => self.block(block.statements()),
            Expr::FnCall(call, position) => return self.call(call, *position),
            Expr::Dot(..) | Expr::Index(..) => {
                return self.chain(expression, None).unwrap_or_else(|| computed(position));
            }
            Expr::And(items, _) | Expr::Or(items, _) | Expr::Coalesce(items, _) => {
                let mut items = items.iter();
                items.next().map(|first| self.expression(first));
                self.perhaps(|walk| items.for_each(|item| drop(walk.expression(item))));
                Shape::Computed
            }
            Expr::Custom(custom, _) => {
                custom.inputs.iter().for_each(|input| drop(self.expression(input)));
                Shape::Computed
            }
            _ => Shape::Computed,
        };
        Written::new(position, shape)
    }

    /// A block of statements, or a closure that captures: Rhai writes that as a block.
    fn block(&mut self, statements: &[Stmt]) -> Shape {
        if let [Stmt::Share(captured), Stmt::Expr(curry)] = statements
            && let Expr::FnCall(call, position) = &**curry
            && let Some(Expr::DynamicConstant(value, _)) = call.args.first()
        {
            let captures: Vec<_> = captured.iter().map(|(name, _)| name.name.to_string()).collect();
            return self.constant(value, &captures, *position);
        }
        self.statements(statements, true);
        Shape::Computed
    }

    fn constant(&mut self, value: &Dynamic, captures: &[String], position: Position) -> Shape {
        let Some(function) = value.read_lock::<FnPtr>() else { return Shape::Computed };
        let name = function.fn_name().to_owned();
        drop(function);
        let parameters = self.ast.iter_functions().find(|function| function.name == name).map(|function| {
            // Rhai puts the captures before the parameters.
            let own = function.params.iter().skip(captures.len());
            (function.params.len(), own.map(|name| (*name).to_owned()).collect::<Vec<_>>())
        });
        let Some((count, own)) = parameters else { return Shape::Function(None) };
        let index = self.outline.closures.len();
        self.outline.closures.push(Closure {
            place: self.place(position),
            captures: captures.to_vec(),
            parent: self.closures.last().copied(),
            given_to: None,
        });
        self.closures.push(index);
        for parameter in own {
            self.bind(&parameter, None);
        }
        self.body(&name, count);
        self.closures.pop();
        Shape::Function(Some(index))
    }

    fn call(&mut self, call: &FnCallExpr, position: Position) -> Written {
        let arguments: Vec<_> = call
            .args
            .iter()
            .enumerate()
            .map(|(index, argument)| match argument {
                // The first argument may be taken by reference.
                Expr::Variable(variable, ..) if index == 0 && variable.2.is_empty() && !self.takes_values(call) => {
                    self.read(&variable.1);
                    self.change(&variable.1);
                    Written::new(argument.start_position(), Shape::Variable(variable.1.to_string()))
                }
                _ => self.expression(argument),
            })
            .collect();
        if call.is_operator_call() || !can_be_called(&call.name) {
            return computed(position);
        }
        let named = arguments.first().and_then(Written::text);
        match (call.name.as_str(), named) {
            ("Fn", Some(name)) => {
                self.outline.pointed_at.push((name, arguments[0].position));
                return Written::new(position, Shape::Function(None));
            }
            ("is_def_fn", Some(name)) => {
                self.outline.asked_for.insert(name);
            }
            _ => {}
        }
        self.record(call, position, Style::Function, arguments)
    }

    /// Whether the function leaves its first argument as it is.
    fn takes_values(&self, call: &FnCallExpr) -> bool {
        let name = call.name.as_str();
        call.is_operator_call()
            || call.is_qualified()
            || !can_be_called(name)
            || is_keyword(name)
            || READING.contains(&name)
            || matches!(name, "print" | "debug")
            || self.host.contains(name)
            || self.ast.iter_functions().any(|function| function.name == name)
    }

    fn record(&mut self, call: &FnCallExpr, position: Position, style: Style, arguments: Vec<Written>) -> Written {
        let index = self.outline.calls.len();
        let mut closures = Vec::new();
        arguments.iter().for_each(|argument| argument.closures(&mut closures));
        for closure in closures {
            self.outline.closures[closure].given_to = Some(index);
        }
        self.outline.calls.push(Call {
            name: call.name.to_string(),
            path: call.namespace.path.iter().map(|step| step.name.to_string()).collect(),
            path_place: call.namespace.path.first().and_then(|step| self.place(step.pos)),
            style,
            arguments,
            place: self.place(position),
            unit: self.unit,
            closure: self.closures.last().copied(),
            certain: self.conditions == 0 && !self.has_left && self.closures.is_empty(),
            tried: self.tries > 0,
            dropped: false,
            bound_to: None,
        });
        if call.name == "exit" {
            self.has_left = true;
        }
        Written::new(position, Shape::Result(index))
    }

    /// `root.a.b(…)[c]`. `assigned` is what is assigned to it, if that is what happens. Returns its value.
    fn chain(&mut self, chain: &Expr, assigned: Option<&Written>) -> Option<Written> {
        let (root, steps, optional) = steps(chain)?;
        let plain = match root {
            Expr::Variable(variable, ..) if variable.2.is_empty() => Some(variable.1.as_str()),
            _ => None,
        };
        let mut receiver = match plain {
            Some(variable) => {
                self.use_of(variable, &steps, assigned);
                if assigned.is_none() && !optional && self.tries == 0 {
                    self.properties(variable, &steps);
                }
                Some(Written::new(root.start_position(), Shape::Variable(variable.to_owned())))
            }
            None => Some(self.expression(root)),
        };
        // After `?.` the rest may not be run.
        self.conditions += usize::from(optional);
        let mut value = computed(root.start_position());
        for step in &steps {
            let receiver = receiver.take().unwrap_or_else(|| computed(root.start_position()));
            value = match step {
                Step::Property(name, _) => {
                    if assigned.is_some() {
                        self.outline.words.insert((*name).to_owned());
                    }
                    computed(root.start_position())
                }
                Step::Index(index) => {
                    self.expression(index);
                    computed(root.start_position())
                }
                Step::Method(call, position) => {
                    let arguments: Vec<_> = call.args.iter().map(|argument| self.expression(argument)).collect();
                    if let (Some(variable), true) = (plain, KEEPING.contains(&call.name.as_str())) {
                        arguments.iter().for_each(|argument| self.keep(variable, argument));
                    }
                    self.record(call, *position, Style::Method, [vec![receiver], arguments].concat())
                }
            };
        }
        self.conditions -= usize::from(optional);
        Some(value)
    }

    /// Notes what a chain does with the variable at its root.
    fn use_of(&mut self, variable: &str, steps: &[Step<'_>], assigned: Option<&Written>) {
        let changes = |step: &Step<'_>| matches!(step, Step::Method(call, _) if !READING.contains(&call.name.as_str()));
        let keeps = |step: &Step<'_>| matches!(step, Step::Method(call, _) if KEEPING.contains(&call.name.as_str()));
        let key = match steps.first() {
            Some(Step::Property(name, _)) => Some((*name).to_owned()),
            Some(Step::Index(Expr::StringConstant(name, _))) => Some(name.to_string()),
            _ => None,
        };
        if let Some(written) = assigned {
            self.keep(variable, written);
        } else if steps.iter().any(keeps) {
            // Not looked at, as far as loops are concerned.
            self.outline.units[self.unit].entry(variable.to_owned()).or_default().is_read = true;
        } else {
            self.read(variable);
        }
        let is_changed = assigned.is_some() || steps.iter().any(changes);
        match key {
            Some(key) if is_changed => {
                self.outline.units[self.unit].entry(variable.to_owned()).or_default().added.insert(key);
            }
            Some(_) => {}
            None if is_changed => self.change(variable),
            None => {}
        }
    }

    /// Notes which properties of a variable are read.
    fn properties(&mut self, variable: &str, steps: &[Step<'_>]) {
        let names = steps.iter().map_while(|step| match step {
            Step::Property(name, position) => Some(((*name).to_owned(), *position)),
            Step::Method(..) | Step::Index(_) => None,
        });
        let properties = Properties { variable: variable.to_owned(), unit: self.unit, names: names.collect() };
        self.outline.properties.push(properties);
    }

    /// Notes that closures in `written` are put into `collection`.
    fn keep(&mut self, collection: &str, written: &Written) {
        let mut closures = Vec::new();
        written.closures(&mut closures);
        for closure in closures {
            for around in self.loops.iter_mut().filter(|around| !around.bound.contains(collection)) {
                let captured = &self.outline.closures[closure].captures;
                for variable in around.variables.iter().filter(|variable| captured.contains(variable)) {
                    let kept = Kept { closure, variable: variable.clone(), unit: self.unit };
                    around.kept.push((collection.to_owned(), kept));
                }
            }
        }
    }

    fn bind(&mut self, name: &str, declared: Option<Written>) {
        for around in &mut self.loops {
            around.bound.insert(name.to_owned());
        }
        let name = self.outline.units[self.unit].entry(name.to_owned()).or_default();
        name.bindings += 1;
        name.declared =
            declared.filter(|written| matches!(written.shape, Shape::Plain(_) | Shape::Array(_) | Shape::Map(_)));
    }

    fn read(&mut self, name: &str) {
        for around in &mut self.loops {
            around.read.insert(name.to_owned());
        }
        self.outline.units[self.unit].entry(name.to_owned()).or_default().is_read = true;
    }

    fn change(&mut self, name: &str) {
        self.outline.units[self.unit].entry(name.to_owned()).or_default().is_changed = true;
    }

    fn drop_unless(&mut self, used: bool, written: &Written) {
        if let (false, Shape::Result(call)) = (used, &written.shape) {
            self.outline.calls[*call].dropped = true;
        }
    }

    fn place(&self, position: Position) -> Option<Place> {
        Place::new(&self.outline.file, position)
    }
}

/// Where an expression begins. Rhai has the place of the operator for `a + b`.
fn start(expression: &Expr) -> Position {
    match expression {
        Expr::FnCall(call, _) if call.is_operator_call() => call.args.first().map_or(expression.position(), start),
        other => other.start_position(),
    }
}

fn computed(position: Position) -> Written {
    Written::new(position, Shape::Computed)
}

/// The root of a chain, its steps, and whether one of them is `?.` or `?[`. `None`: it is no chain.
fn steps(chain: &Expr) -> Option<(&Expr, Vec<Step<'_>>, bool)> {
    let (mut dotted, mut parts, mut flags) = link(chain)?;
    let root = &parts.lhs;
    let mut steps = Vec::new();
    let mut optional = false;
    loop {
        optional |= flags.contains(ASTFlags::NEGATED);
        // Where a chain goes on, its right side is the next step with the rest of them.
        let next = link(&parts.rhs).filter(|_| !flags.contains(ASTFlags::BREAK));
        let here = next.map_or(&parts.rhs, |(_, next, _)| &next.lhs);
        steps.push(match here {
            Expr::Property(property, position) if dotted => Step::Property(&property.2, *position),
            Expr::MethodCall(call, position) if dotted => Step::Method(call, *position),
            other => Step::Index(other),
        });
        match next {
            Some(next) => (dotted, parts, flags) = next,
            None => return Some((root, steps, optional)),
        }
    }
}

/// Whether it is a dot or brackets, and both sides of it.
fn link(expression: &Expr) -> Option<(bool, &BinaryExpr, ASTFlags)> {
    match expression {
        Expr::Dot(parts, flags, _) => Some((true, parts, *flags)),
        Expr::Index(parts, flags, _) => Some((false, parts, *flags)),
        _ => None,
    }
}
