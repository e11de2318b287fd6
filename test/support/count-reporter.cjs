// mocha's spec reporter, closed by the one line that scripts read: `N passed, N failed, N skipped`.
const { reporters } = require('mocha');

module.exports = class CountReporter extends reporters.Spec {
  epilogue() {
    super.epilogue();
    const { passes = 0, failures = 0, pending = 0 } = this.stats;
    process.stdout.write(`${passes} passed, ${failures} failed, ${pending} skipped\n`);
  }
};
