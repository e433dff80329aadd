import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const node = {
  Buffer: 'readonly',
  URL: 'readonly',
  __dirname: 'readonly',
  console: 'readonly',
  module: 'writable',
  process: 'readonly',
  require: 'readonly',
};

export default defineConfig([
  globalIgnores([
    'build/',
    'build-cmake*/',
    'build-cuda*/',
    'build-prebuild/',
    'coverage/',
    'dist/',
    'docs/screenshots/',
    'docs/site/',
    'prebuilds/',
    'lib/promises.ts',
    'test/golden/',
  ]),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: { ecmaVersion: 2023, globals: node },
  },
  { files: ['**/*.cjs'], languageOptions: { sourceType: 'commonjs' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: [] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      eqeqeq: 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      // Numbers and booleans in messages read as meant.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // `{}` is the default of option parameters, and mapped types spell out what they map.
      '@typescript-eslint/no-empty-object-type': ['error', { allowObjectTypes: 'always' }],
      '@typescript-eslint/consistent-indexed-object-style': 'off',
      // Kernels and their tests index typed arrays with counted loops.
      '@typescript-eslint/prefer-for-of': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  // Callers from JavaScript pass what the types exclude, and the library checks for it.
  { files: ['lib/**/*.ts'], rules: { '@typescript-eslint/no-unnecessary-condition': 'off' } },
  // Type tests name types to compare them.
  {
    files: ['test/types/**/*.ts'],
    rules: { '@typescript-eslint/no-unnecessary-type-parameters': 'off' },
  },
]);
