-- The Neovim client of tinycopilot. Neovim itself speaks with the server and draws the ghost text: this file starts the
-- server and says how it is; keys.lua gives the keys their meaning.
local M = {}
local api, lsp = vim.api, vim.lsp

local defaults = {
  cmd = { 'tinycopilot-server' }, -- the server: a program on the PATH, or its full path; then its arguments
  settings = { -- what the server is told
    -- Suggest code while you type. Off: nothing is suggested.
    enabled = true,
    -- Documents of these languages are completed and known, by the editor's own names for them; `*` is every one.
    languages = { 'python' },
    -- Files whose paths match one of these patterns, which are those of a `.gitignore`, are neither completed nor
    -- known.
    exclude = {},
    -- Suggest as ghost text.
    inline = true,
    -- Suggest in the menu of completions, below all others.
    popup = true,
    -- From 0, quiet, to 1, talkative: how little a suggestion may be worth, and how unsure it may be, to be shown.
    -- What it saves, if it is right, is weighed against reading it.
    eagerness = 0.5,
    -- A probability from 0 to 1: a suggestion that is less likely than this to be right is not shown, however much it
    -- would save; at the lowest eagerness 2.5 times as much is asked, at the highest 2.5 times less.
    minConfidence = 0.2,
    -- The most characters in a suggestion. From 1 to 100,000.
    maxChars = 120,
    -- The most lines in a suggestion; more than one only where it is sure of them. From 1 to 100,000.
    maxLines = 3,
    -- Milliseconds without a change before ghost text is looked for, unless you ask for it. From 0 to 10,000.
    debounceMs = 0,
    -- Suggest inside of comments, too.
    inComments = true,
    -- Suggest inside of strings, too.
    inStrings = true,
    -- Processor threads for the network. One answers within a frame; a second suffers when the editor is busy. From 1
    -- to 64.
    threads = 1,
    -- The model's file. Empty: your own, else the one that ships.
    modelPath = '',
    -- The file of the model's tokenizer. Empty: the one beside the model.
    tokenizerPath = '',
    -- The most characters of the workspace that are known, ten bytes of memory each; what was changed last comes
    -- first. 0: the document at hand alone, and nothing is learned or kept. From 0 to 1,000,000,000.
    maxWorkspaceChars = 12000000,
    -- Count, on this machine alone, what is suggested, accepted and kept. No code is kept, nothing is sent.
    statistics = true,
  },
  keymaps = { -- in insert mode; false for no key. Where no suggestion is shown, a key does what it did before.
    accept = '<Tab>',
    next = '<M-]>', -- where there are several
    previous = '<M-[>',
    dismiss = '<C-]>',
  },
}

local NAME = 'tinycopilot'

--- The types of buffers that the server is started for; nil for all.
function M.filetypes()
  local languages = M.options.settings.languages
  return not vim.list_contains(languages, '*') and languages or nil
end

M.options = nil ---@type table? the defaults and what setup() was given
M.said = {} ---@type table<integer, { state: string, message?: string }> each server's last status, by client id

local told = {} -- what the user has been told, not to be told again before a restart

local function tell(message, level)
  message = NAME .. ': ' .. message:gsub('^tinycopilot: ', '')
  if told[message] then return end
  told[message] = true
  vim.schedule(function() vim.notify(message, level) end)
end

local function status_here()
  local client = lsp.get_clients({ name = NAME, bufnr = 0 })[1]
  return client and (M.said[client.id] or { state = 'loading' })
end

--- For a statusline: 'tinycopilot: loading', 'tinycopilot: ready', 'tinycopilot: error'; '' in a buffer without it.
function M.status()
  local status = status_here()
  return status and NAME .. ': ' .. status.state or ''
end

local handlers = {
  ['tinycopilot/status'] = function(_, status, context)
    M.said[context.client_id] = status
    if status.state == 'error' then tell(status.message or 'the server failed', vim.log.levels.ERROR) end
    vim.cmd.redrawstatus { bang = true }
  end,
  ['window/showMessage'] = function(_, params) -- an error comes in this way, too: `tell` tells it once
    tell(params.message, 5 - params.type) -- LSP: 1 is error, 4 is log. Neovim: 4 is error, 1 is debug.
    return params
  end,
}

--- Neovim 0.11 has no ghost text: there, the popup menu opens while one types.
local function show_popup(client, buffer)
  client.server_capabilities.completionProvider.triggerCharacters =
    vim.tbl_map(string.char, vim.fn.range(32, 126)) -- else only after a dot
  api.nvim_buf_call(buffer, function()
    vim.opt_local.completeopt:append { 'menuone', 'noselect' } -- else Neovim inserts a menu's only entry unasked
  end)
  local function whole(item) -- else Neovim inserts no further than the first space; for other servers' items that stays
    return item.detail == NAME and { word = item.textEdit.newText } or {}
  end
  lsp.completion.enable(true, client.id, buffer, { autotrigger = true, convert = whole })
end

local function attach(event)
  local client = assert(lsp.get_client_by_id(event.data.client_id))
  if client.name ~= NAME then return end
  if not lsp.inline_completion then return show_popup(client, event.buf) end
  lsp.inline_completion.enable(true, { bufnr = event.buf })
  require('tinycopilot.keys').set(event.buf, M.options.keymaps)
end

--- Neovim says nothing where the program is missing.
local function check_program()
  local program = M.options.cmd[1]
  if vim.fn.executable(program) == 1 then return end
  tell(('no program `%s`: install it, or set `cmd` (:help tinycopilot)'):format(program), vim.log.levels.ERROR)
end

--- Says what is misspelt: it would have no effect.
local function check_names(given, known, what)
  for name in pairs(given) do
    if known[name] == nil then tell(('there is no %s `%s`'):format(what, name), vim.log.levels.WARN) end
  end
end

local commands = {}

function commands.status()
  local status = status_here()
  local message = status and status.message or ''
  vim.notify((status and M.status() or NAME .. ': not at work here') .. (message == '' and '' or ': ' .. message))
end

function commands.restart()
  local function running() return lsp.get_clients { name = NAME } end
  local function gone() return #running() == 0 end
  for _, force in ipairs { false, true } do
    for _, client in ipairs(running()) do client:stop(force) end
    if vim.wait(1000, gone, 20) then break end
  end
  told = {}
  lsp.enable(NAME) -- starts it for the buffers that are open
end

function commands.log() vim.cmd.tabedit(vim.fn.fnameescape(lsp.log.get_filename())) end

local function command_names(start)
  return vim.tbl_filter(function(name) return vim.startswith(name, start) end, { 'log', 'restart', 'status' })
end

--- Starts everything. `options` are laid over the defaults above.
function M.setup(options)
  if vim.fn.has('nvim-0.11') == 0 then
    return tell('needs Neovim 0.12, or 0.11 for a popup menu in place of ghost text', vim.log.levels.WARN)
  end
  M.options = vim.tbl_deep_extend('force', defaults, options or {})
  for name, value in pairs(defaults) do vim.validate(name, M.options[name], type(value)) end
  M.options.cmd = { vim.fs.normalize(M.options.cmd[1]), unpack(M.options.cmd, 2) } -- ~ becomes the home folder
  check_names(M.options, defaults, 'option')
  check_names(M.options.keymaps, defaults.keymaps, 'keymap')

  lsp.config(NAME, {
    cmd = M.options.cmd,
    cmd_cwd = vim.uv.os_homedir(), -- not the project: `python -m` would run what lies there
    filetypes = M.filetypes(),
    init_options = M.options.settings,
    settings = { [NAME] = M.options.settings }, -- the same, for when the server asks, or something changes
    handlers = handlers,
    root_markers = { '.git', 'pyproject.toml' },
  })

  local group = api.nvim_create_augroup(NAME, {})
  api.nvim_create_autocmd('LspAttach', { group = group, callback = attach })
  api.nvim_create_autocmd('FileType', { group = group, pattern = M.filetypes() or '*', callback = check_program })
  if vim.list_contains(M.filetypes() or { vim.bo.filetype }, vim.bo.filetype) then check_program() end
  api.nvim_create_user_command('TinyCopilot', function(call)
    local command = commands[call.args]
    if command then command() else vim.notify(NAME .. ': no such command: ' .. call.args, vim.log.levels.ERROR) end
  end, { nargs = 1, complete = command_names, desc = 'tinycopilot: status, restart or log' })

  lsp.enable(NAME)
end

return M
