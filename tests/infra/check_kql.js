// Reads {"tables": {name: {column: type}}, "queries": {name: text}} and writes what Microsoft's
// Kusto analyser says of each query: {name: ["severity code at offset: message"]}.
'use strict';
const { readFileSync } = require('node:fs');

require('@kusto/language-service-next/bridge.js');
require('@kusto/language-service-next/Kusto.Language.Bridge.js');

const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;
const { tables, queries } = JSON.parse(readFileSync(0, 'utf8'));

const symbols = Object.entries(tables).map(([name, columns]) => {
  const schema = Object.entries(columns).map(([column, type]) => `${column}: ${type}`).join(', ');
  return new Symbols.TableSymbol.$ctor4(name, Symbols.TableSymbol.From(`(${schema})`).Columns);
});
const database = new Symbols.DatabaseSymbol.ctor('workspace', symbols);
const globals = GlobalState.Default.WithDatabase(database);

const found = {};
for (const [name, text] of Object.entries(queries)) {
  const diagnostics = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  found[name] = Array.from({ length: diagnostics.Count }, (_, index) => {
    const { Severity, Code, Start, Message } = diagnostics.getItem(index);
    return `${Severity} ${Code} at ${Start}: ${Message}`;
  });
}
process.stdout.write(JSON.stringify(found));
