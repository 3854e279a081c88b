-- Options: defaults and validation. Each invalid option is reported in one line.
local M = {}

M.defaults = {
  cmd = { 'tinycopilot-server' }, -- the server: a program on the PATH, or its full path; then its arguments
  settings = { -- settings of the server
    -- Suggest code as you type. When off, nothing is suggested.
    enabled = true,
    -- Languages to complete and index, by the editor's language identifiers; `*` means all languages.
    languages = { 'python' },
    -- Patterns in `.gitignore` syntax. Files that match are neither completed nor indexed.
    exclude = {},
    -- When to show suggestions as ghost text: `"automatic"`, as you type; `"onDemand"`, only when you press the key
    -- that asks for one, and then for as long as you type along; `false`, never.
    inline = 'automatic',
    -- List suggestions in the completion menu, below all other entries.
    popup = true,
    -- How readily suggestions are shown, from 0 (few and likely) to 1 (many, less likely). It sets the number of
    -- keystrokes that a suggestion must be expected to save to be worth reading.
    eagerness = 0.5,
    -- Minimum probability, from 0 to 1, that a suggestion is correct. The threshold is 2.5 times higher at `eagerness`
    -- 0 and 2.5 times lower at `eagerness` 1.
    minConfidence = 0.2,
    -- Maximum number of characters in a suggestion. Range: 1 to 100,000.
    maxChars = 120,
    -- Maximum number of lines in a suggestion. Several lines are suggested only at a confidence of at least 50 %.
    -- Range: 1 to 100,000.
    maxLines = 3,
    -- Milliseconds to wait after the last change before showing ghost text. Explicit requests don't wait. Range: 0 to
    -- 10,000.
    debounceMs = 0,
    -- Suggest inside comments.
    inComments = true,
    -- Suggest inside strings.
    inStrings = true,
    -- No effect: the network runs on one thread. Accepted so that existing configurations stay valid. Range: 1 to 64.
    threads = 1,
    -- Path of the model file. Empty: the model adapted to the workspace, else your own, else the bundled one.
    modelPath = '',
    -- Path of the tokenizer file. Empty: the one next to the model.
    tokenizerPath = '',
    -- Maximum number of characters to index, at about 10 bytes of memory each; recently changed files come first. 0:
    -- index only the current document, and store nothing about the workspace. Range: 0 to 1,000,000,000.
    maxWorkspaceChars = 12000000,
    -- Count suggestions, and how many you accept and keep. The counts stay on this machine and contain no code.
    statistics = true,
  },
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
}

function M.has_choices(name) return choices[name] ~= nil end

local function is_texts(value)
  local function is_text(one) return type(one) == 'string' end
  return type(value) == 'table' and vim.islist(value) and vim.iter(value):all(is_text)
end

--- Accepts a string where a list is expected.
local function as_list(value) return type(value) == 'string' and { value } or value end

--- The requirement of a setting, and whether `value` meets it.
local function wanted(name, value)
  local kind = type(M.defaults.settings[name])
  if choices[name] then
    local words = vim.tbl_map(vim.inspect, choices[name])
    return table.concat(words, ' or '), value == true or vim.list_contains(choices[name], value)
  end
  if kind == 'table' then return 'a list of strings', is_texts(value) end
  if kind == 'boolean' then return 'true or false', type(value) == kind end
  if kind == 'string' then return 'a string', type(value) == kind end
  local low, high, is_whole = unpack(bounds[name], 1, 3)
  local fits = type(value) == kind and low <= value and value <= high and (not is_whole or value % 1 == 0)
  return ('%s from %d to %d'):format(is_whole and 'an integer' or 'a number', low, high), fits
end

local function must_be(what, name, value)
  return ('%s must be %s, not %s'):format(name, what, vim.inspect(value, { newline = ' ', indent = '' }))
end

--- The valid ones of `settings`; calls `complain` for each invalid one.
function M.usable(settings, complain)
  local good = {}
  for name, value in pairs(settings) do
    local default = M.defaults.settings[name]
    if type(default) == 'table' then value = as_list(value) end
    if default == nil then
      complain(('unknown setting `%s`'):format(name))
    else
      local what, fits = wanted(name, value)
      if fits then good[name] = value else complain(must_be(what, name, value)) end
    end
  end
  return good
end

--- The valid ones of `keymaps`; false means no key.
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

local takers = {} -- by option: validates a user's value, and returns what overrides the default

function takers.cmd(cmd, complain)
  local words = as_list(cmd)
  if not is_texts(words) or (words[1] or '') == '' then
    return complain(must_be('a command and its arguments', 'cmd', cmd))
  end
  return { vim.fs.normalize(words[1]), unpack(words, 2) } -- ~ becomes the home folder
end

function takers.settings(settings, complain)
  if type(settings) == 'table' then return M.usable(settings, complain) end
  complain(must_be('a table', 'settings', settings))
end

function takers.keymaps(keymaps, complain)
  if type(keymaps) == 'table' or keymaps == false then return usable_keys(keymaps, complain) end
  complain(must_be('a table or false', 'keymaps', keymaps))
end

--- The defaults, overridden by the valid options given to setup().
function M.laid_over(given, complain)
  local options = vim.deepcopy(M.defaults)
  if type(given) ~= 'table' then
    complain(must_be('a table', 'the argument of setup', given))
    return options
  end
  for name, value in pairs(given) do
    local take = takers[name]
    if not take then complain(('unknown option `%s`'):format(name)) end
    local good = take and take(value, complain)
    if good then options[name] = name == 'cmd' and good or vim.tbl_extend('force', options[name], good) end
  end
  return options
end

return M
