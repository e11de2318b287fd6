import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  { ignores: ['dist', 'node_modules', 'coverage'] },
  {
    files: ['**/*.ts'],
    extends: [js.configs.recommended, tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // A Promise nobody waits for hides its failure (mocha 12 does not fail on it by itself).
      '@typescript-eslint/no-floating-promises': 'error',
      // An async method may satisfy an interface without awaiting anything.
      '@typescript-eslint/require-await': 'off',
      // Bytes are indexed by numbers known to be in range; Buffer reads return number | undefined otherwise.
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-restricted-syntax': [
        'error',
        {
          // TypeORM's save() and remove() ignore versions and rewind them: every change is a compare-and-set.
          selector:
            'CallExpression[callee.property.name=/^(save|remove)$/][callee.object.name=/[rR]epository$/]',
          message: 'Use insert, or update/delete with a version condition.',
        },
      ],
    },
  },
);
