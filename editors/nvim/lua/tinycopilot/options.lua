-- The options of setup: defaults and validation. Each invalid option is reported in one line.
local M = {}

M.defaults = {
  cmd = { 'tinycopilot-server' }, -- the server: a program on the PATH, or its full path; then its arguments
  settings = { -- settings of the server
    -- Enable suggestions.
    enabled = true,
    -- Languages in which suggestions are shown and files are indexed, given as the editor's language identifiers.
    -- `default`: programming and markup languages; `*`: all languages; `-css`: without CSS. If several entries match a
    -- language, the last one wins.
    languages = { 'default' },
    -- Patterns in `.gitignore` syntax. Files that match get no suggestions and are not indexed.
    exclude = {},
    -- When to show suggestions as ghost text. `"automatic"` or `true`: as you type; `"onDemand"`: only when you
    -- request one with a key (the suggestion then stays visible while you type matching text); `false`: never.
    inline = 'automatic',
    -- Whether to list suggestions in the completion menu, below all other entries: `true`, `false`, or `"automatic"`
    -- (only if the editor shows no ghost text).
    popup = 'automatic',
    -- How readily suggestions are shown, from 0 (few, likely ones) to 1 (many, less likely ones). It sets how many
    -- keystrokes a suggestion must be expected to save before it is shown, and scales `minConfidence`.
    eagerness = 0.25,
    -- The minimum probability (0 to 1) that a suggestion is correct, before scaling by `eagerness`. The effective
    -- minimum is this value multiplied by 3.5 when `eagerness` is 0, by 1.87 at the default of 0.25, by 1 at 0.5, and
    -- by 0.29 at 1. It is never above 0.95 and, in the middle of a line, never below 0.4.
    minConfidence = 0.2,
    -- Maximum number of characters in a suggestion. Range: 1 to 100,000.
    maxChars = 120,
    -- Maximum number of lines in a suggestion. Multi-line suggestions need a confidence of at least 50 %. Range: 1 to
    -- 100,000.
    maxLines = 3,
    -- How to show a multi-line suggestion. `"whole"`: show all lines. `"firstLine"`: only the first line is shown,
    -- followed by a count such as `+2 lines`; accepting the first line shows the others.
    multiline = 'whole',
    -- Milliseconds to wait after the last change before showing ghost text. Explicit requests don't wait. Range: 0 to
    -- 10,000.
    debounceMs = 0,
    -- Suggest inside comments.
    inComments = true,
    -- Suggest inside strings.
    inStrings = true,
    -- Has no effect; accepted for compatibility. Range: 1 to 64.
    threads = 1,
    -- Path to the model file. Empty: the one next to `tokenizerPath` if that is set, else the model adapted to the
    -- workspace, else the one that you trained, else the bundled one.
    modelPath = '',
    -- Path to the tokenizer file. Empty: the one next to the model.
    tokenizerPath = '',
    -- Maximum number of characters to index. Each takes about 8 bytes of memory. The most recently changed files are
    -- indexed first. 0: use only the current document, and store nothing about the workspace. Range: 0 to
    -- 1,000,000,000.
    maxWorkspaceChars = 12000000,
    -- Count suggestions, and how many of them you accept and keep. The counts stay on this machine and contain no
    -- code.
    statistics = true,
  },
  tab_on_blank = 'indent', -- what <Tab> does if only whitespace precedes the cursor; 'accept': accept the suggestion
  keymaps = { -- in insert mode; false: no key. When no suggestion is visible, a key does what it did before.
    accept = '<Tab>',
    accept_word = '<C-Right>', -- next word; the rest stays visible
    accept_line = '<M-Down>',
    next = '<M-]>',
    previous = '<M-[>',
    dismiss = '<C-]>',
    suggest = '<M-\\>', -- show a suggestion now; with `inline = 'onDemand'`, the only way to get one
  },
}

-- The languages that `default` stands for.
local written = [[
  FortranFreeForm actionscript ada agda ansible apex applescript arduino arm asciidoc asciidoctor asm
  asm-intel-x86-generic aspnetcorerazor astro autohotkey awk azure-pipelines bash basic bat bazel bicep blade bzl c
  clojure cmake cobol coffee coffeescript commonlisp context coq cpp crystal cs csharp cshtml css cuda cuda-cpp cue
  cython d dart delphi django-html dockercompose dockerfile dosbatch dot eelixir elisp elixir elm emacs-lisp erb
  erlang eruby fennel fish fortran fortran-modern fsharp gdscript gdshader github-actions-workflow gleam glimmer glsl
  gn go gohtmltmpl gotmpl graphql groovy hack haml handlebars haskell haxe hcl heex helm hlsl html html.erb
  html.handlebars htmldjango idris jade janet java javascript javascriptreact jinja jinja-html jinja2 jsonnet julia
  just kotlin ksh latex lean lean4 less liquid lisp lua luau make makefile markdown matlab mdx mermaid meson mojo move
  mustache mysql nasm nim nix nunjucks objc objcpp objective-c objective-cpp objectpascal ocaml octave odin opencl org
  pascal perl perl6 pgsql php plaintex plantuml plsql powershell prisma prolog proto proto3 ps1 pug puppet purescript
  python qml quarto query r racket raku razor rego rescript restructuredtext rmd rocq rst ruby rust sass scala scheme
  scss sh shaderlab shellscript slim snakemake solidity sql starlark stylus svelte swift systemverilog tcl terraform
  tex thrift toml twig typescript typescriptreact typst v vala vb vbnet verilog vhdl vim viml vue wat wgsl xhtml xml
  xsl yaml zig zsh
]]

--- Whether the `languages` setting enables this file type. If several entries match it, the last one wins.
function M.has_language(languages, filetype)
  local is_on, is_written = false, written:gsub('%s+', ' '):find(' ' .. filetype .. ' ', 1, true) ~= nil
  for _, word in ipairs(languages) do
    if word == '*' or word == filetype or (word == 'default' and is_written) then is_on = true end
    if word == '-' .. filetype then is_on = false end
  end
  return is_on
end

--- Returns the file types for which the server is started; nil for all.
function M.filetypes(languages)
  if vim.list_contains(languages, '*') then return nil end
  local names = vim.list_contains(languages, 'default') and vim.split(vim.trim(written), '%s+') or {}
  for _, word in ipairs(languages) do
    local is_name = word ~= 'default' and not vim.startswith(word, '-') and not vim.list_contains(names, word)
    if is_name then table.insert(names, word) end
  end
  return vim.tbl_filter(function(name) return M.has_language(languages, name) end, names)
end

local bounds = { -- of numeric settings: minimum, maximum, and whether it is an integer
  eagerness = { 0, 1 },
  minConfidence = { 0, 1 },
  maxChars = { 1, 100000, true },
  maxLines = { 1, 100000, true },
  debounceMs = { 0, 10000, true },
  threads = { 1, 64, true },
  maxWorkspaceChars = { 0, 1000000000, true },
}

local choices = { -- of settings with a list of values; `true` means the first
  inline = { 'automatic', 'onDemand', false },
  popup = { 'automatic', true, false },
  multiline = { 'whole', 'firstLine' },
}

--- Whether the setting can be turned on and off.
function M.is_switch(name) return type(M.defaults.settings[name]) == 'boolean' or vim.list_contains(choices[name] or {}, false) end

local function is_string_list(value)
  local function is_string(item) return type(item) == 'string' end
  return type(value) == 'table' and vim.islist(value) and vim.iter(value):all(is_string)
end

--- Accepts a string where a list is expected.
local function as_list(value) return type(value) == 'string' and { value } or value end

--- Returns the requirement for a setting, in words, and whether `value` meets it.
local function requirement(name, value)
  local kind = type(M.defaults.settings[name])
  if choices[name] then
    local words = vim.tbl_map(vim.inspect, choices[name])
    return table.concat(words, ' or '), vim.list_contains(choices[name], value) or (value == true and M.is_switch(name))
  end
  if kind == 'table' then return 'a list of strings', is_string_list(value) end
  if kind == 'boolean' then return 'true or false', type(value) == kind end
  if kind == 'string' then return 'a string', type(value) == kind end
  local low, high, is_whole = unpack(bounds[name], 1, 3)
  local fits = type(value) == kind and low <= value and value <= high and (not is_whole or value % 1 == 0)
  return ('%s from %d to %d'):format(is_whole and 'an integer' or 'a number', low, high), fits
end

local function must_be(what, name, value)
  return ('%s must be %s, not %s'):format(name, what, vim.inspect(value, { newline = ' ', indent = '' }))
end

--- Returns the valid entries of `settings`; calls `complain` for each invalid one.
function M.usable(settings, complain)
  local good = {}
  for name, value in pairs(settings) do
    local default = M.defaults.settings[name]
    if type(default) == 'table' then value = as_list(value) end
    if default == nil then
      complain(('unknown setting `%s`'):format(name))
    else
      local what, fits = requirement(name, value)
      if fits then good[name] = value else complain(must_be(what, name, value)) end
    end
  end
  return good
end

--- Returns the valid entries of `keymaps`; false means no key.
local function usable_keys(keymaps, complain)
  if keymaps == false then return vim.tbl_map(function() return false end, M.defaults.keymaps) end
  local good = {}
  for action, key in pairs(keymaps) do
    if M.defaults.keymaps[action] == nil then
      complain(('unknown keymap `%s`'):format(action))
    elseif key == false or type(key) == 'string' then
      good[action] = key ~= '' and key
    else
      complain(must_be('a key or false', 'keymaps.' .. action, key))
    end
  end
  return good
end

local validators = {} -- by option: validates a user's value, and returns the value that overrides the default

function validators.cmd(cmd, complain)
  local words = as_list(cmd)
  if not is_string_list(words) or (words[1] or '') == '' then
    return complain(must_be('a command and its arguments', 'cmd', cmd))
  end
  local program = vim.fs.normalize(words[1]) -- ~ becomes the home folder
  if words[1]:find '[/\\]' and vim.fn.isabsolutepath(program) == 0 then
    return complain(must_be('a program on the PATH or a full path', 'cmd', words[1]))
  end
  return { program, unpack(words, 2) }
end

function validators.settings(settings, complain)
  if type(settings) == 'table' then return M.usable(settings, complain) end
  complain(must_be('a table', 'settings', settings))
end

function validators.tab_on_blank(value, complain)
  if value == 'indent' or value == 'accept' then return value end
  complain(must_be("'indent' or 'accept'", 'tab_on_blank', value))
end

function validators.keymaps(keymaps, complain)
  if type(keymaps) == 'table' or keymaps == false then return usable_keys(keymaps, complain) end
  complain(must_be('a table or false', 'keymaps', keymaps))
end

--- Returns the defaults, overridden by the valid options given to setup().
function M.with_defaults(given, complain)
  local options = vim.deepcopy(M.defaults)
  if type(given) ~= 'table' then
    complain(must_be('a table', 'the argument of setup', given))
    return options
  end
  for name, value in pairs(given) do
    local validate = validators[name]
    if not validate then complain(('unknown option `%s`'):format(name)) end
    local good = validate and validate(value, complain)
    local is_whole = name == 'cmd' or name == 'tab_on_blank'
    if good then options[name] = is_whole and good or vim.tbl_extend('force', options[name], good) end
  end
  return options
end

return M
