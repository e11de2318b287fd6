// mocha's spec reporter, closed by lines that scripts read: one `FAILED: <full title>: <first line of the error>` for each
// failure, then `N passed, N failed, N skipped`.
const { reporters } = require('mocha');

module.exports = class CountReporter extends reporters.Spec {
  epilogue() {
    super.epilogue();
    for (const test of this.failures)
      process.stdout.write(`FAILED: ${test.fullTitle()}: ${firstLine(test.err)}\n`);
    const { passes = 0, failures = 0, pending = 0 } = this.stats;
    process.stdout.write(`${passes} passed, ${failures} failed, ${pending} skipped\n`);
  }
};

function firstLine(error) {
  const text = String(error?.message || error || 'no error');
  return text.trim().split('\n', 1)[0].slice(0, 500);
}
