-- The Neovim client: start the server, and filter its requests and responses. Neovim's LSP client talks to the server
-- and draws ghost text; options.lua validates options, state.lua tracks the server's status, commands.lua defines
-- :TinyCopilot, and keys.lua the keys.
local M = {}
local api, lsp = vim.api, vim.lsp
local state, options = require 'tinycopilot.state', require 'tinycopilot.options'

local NAME = 'tinycopilot'

--- Returns the file types for which the server is started; nil for all.
function M.filetypes()
  return options.filetypes(M.options.settings.languages)
end

M.options = nil ---@type table? the defaults, overridden by setup()'s argument

M.problems = {} ---@type string[] problems of setup()'s argument

local reported = {} -- messages that were shown; they are not shown again before a restart

M.cut = nil ---@type string? the full text of the last shortened message, until :TinyCopilot shows it

--- Shows a message. If Neovim itself shows it, shortens it to one line: after a longer one, Neovim waits for Enter.
local function notify(message, level)
  local source = type(vim.notify) == 'function' and debug.getinfo(vim.notify, 'S').source or ''
  local is_neovims = source == '?' or vim.startswith(source, '@vim/') -- from a plugin, `source` may be a table
  local room, more = vim.v.echospace, '... more: :TinyCopilot'
  if not is_neovims or vim.fn.strdisplaywidth(message) <= room then return vim.notify(message, level) end
  M.cut = message
  local start = vim.fn.strcharpart(message, 0, room - #more):gsub('%s+%S*$', '') -- ends with a whole word
  vim.notify(start .. more, level)
end

local function tell(message, level)
  message = NAME .. ': ' .. message:gsub('^tinycopilot: ', '')
  if reported[message] then return end
  reported[message] = true
  vim.schedule(function() notify(message, level) end)
end

M.tell = tell

local function warn(message) tell(message, vim.log.levels.WARN) end

function M.forget_reported() reported = {} end

--- Returns the status in the current buffer, for a statusline component; nil if no server is attached. `state` is
--- 'loading', 'ready', 'busy', 'training' (with `percentage`), 'off' or 'error'; `message` has details, or is empty.
function M.state() return M.options and state.here() end

--- Returns when suggestions are shown as ghost text, if not automatically; '' otherwise.
function M.when()
  local inline, key = M.options.settings.inline, M.options.keymaps.suggest
  if not lsp.inline_completion.is_enabled { bufnr = 0 } then return 'no ghost text (vim.lsp.inline_completion is off)' end
  if inline == 'onDemand' then return key and ('%s shows a suggestion'):format(key) or 'on demand' end
  return inline == false and 'no ghost text (`inline` setting)' or ''
end

--- Returns a text for a statusline, such as 'tinycopilot: training 40%'; '' in a buffer without a server.
function M.status()
  local now = M.state()
  if not now then return '' end
  return ('%s: %s%s'):format(NAME, now.state, now.percentage and (' %d%%'):format(now.percentage) or '')
end

--- Functions for your own mappings: each acts on the suggestion, and returns whether there was one; `suggest` returns
--- whether a server is attached.
for _, action in ipairs { 'accept', 'accept_word', 'accept_line', 'next', 'previous', 'dismiss', 'suggest' } do
  M[action] = function() return lsp.inline_completion ~= nil and require('tinycopilot.keys').act(action) end
end

--- Shows a welcome message, once per machine: what the plugin does, and how to switch it off.
local function welcome()
  local mark = vim.fs.joinpath(vim.fn.stdpath 'state', 'tinycopilot-welcomed')
  if vim.uv.fs_stat(mark) then return end
  vim.fn.mkdir(vim.fs.dirname(mark), 'p')
  local file = io.open(mark, 'w')
  if not file then return end -- without the marker file, the message would appear each time
  file:close()
  local keys, words = M.options.keymaps, {}
  for _, pair in ipairs { { 'accept', 'accepts' }, { 'dismiss', 'dismisses' }, { 'accept_word', 'accepts a word' } } do
    if keys[pair[1]] then table.insert(words, keys[pair[1]] .. ' ' .. pair[2]) end
  end
  local how = lsp.inline_completion and #words > 0 and table.concat(words, ', ') .. '. ' or ''
  local rest = ':TinyCopilot pause turns it off. It learns from your open folders; nothing leaves this machine. '
  tell(how .. rest .. 'See :help tinycopilot.')
end

local handlers = {
  ['tinycopilot/status'] = function(_, status, context)
    state.on_status(context.client_id, status)
    if status.state == 'ready' then welcome() end
    if status.state == 'error' then tell(status.message or 'the server failed', vim.log.levels.ERROR) end
  end,
  ['tinycopilot/training'] = function(_, training, context) state.on_training(context.client_id, training) end,
  ['window/showMessage'] = function(_, params) -- errors arrive here, too; `tell` shows each once
    if params.type == 3 then reported[params.message] = nil end -- information may be repeated
    tell(params.message, 5 - params.type) -- LSP: 1 is error, 4 is log. Neovim: 4 is error, 1 is debug.
    return params
  end,
}

--- Neovim 0.11 has no ghost text: the popup menu opens while typing instead.
local function show_popup(client, buffer)
  client.server_capabilities.completionProvider.triggerCharacters =
    vim.tbl_map(string.char, vim.fn.range(32, 126)) -- otherwise only after a dot
  api.nvim_buf_call(buffer, function()
    vim.opt_local.completeopt:append { 'menuone', 'noselect' } -- otherwise Neovim inserts a single entry automatically
  end)
  local function whole(item) -- otherwise Neovim inserts only up to the first space
    return item.detail == NAME and { word = item.textEdit.newText } or {}
  end
  lsp.completion.enable(true, client.id, buffer, { autotrigger = true, convert = whole })
end

local patched = setmetatable({}, { __mode = 'k' })

--- Replaces line ends by `\n`: the server uses the file's line ends, but text in Neovim's buffers always has `\n`.
local function with_lf(result)
  for _, item in ipairs(result and (result.items or result) or {}) do
    if type(item.insertText) == 'string' then item.insertText = item.insertText:gsub('\r\n?', '\n') end
  end
  return result
end

--- Patches a client so that it sends no requests in buffers where ghost text is off. Neovim itself could only turn off
--- the ghost text of all servers.
local function patch(client)
  if patched[client] then return end
  patched[client] = true
  local request = client.request
  function client.request(self, method, params, handler, buffer)
    local is_completion = method == 'textDocument/inlineCompletion' and handler ~= nil
    if not is_completion then return request(self, method, params, handler, buffer) end
    if not state.is_on(buffer or 0) then
      handler(nil, {}, { method = method, client_id = self.id, bufnr = buffer, params = params })
      return true
    end
    local function handle(err, result, ...)
      local is_gone = (buffer or 0) > 0 and not self.attached_buffers[buffer] -- Neovim's handler would fail
      if is_gone then return end
      return handler(err, with_lf(result), ...)
    end
    return request(self, method, params, handle, buffer)
  end
end

--- Turns ghost text (or the popup menu) on or off in a buffer, as set by the user.
function M.refresh(buffer)
  local on = state.is_on(buffer)
  if lsp.inline_completion then
    if not on then require('tinycopilot.keys').withdraw(buffer) end
    return
  end
  for _, client in ipairs(state.clients(buffer)) do
    if on then show_popup(client, buffer) else lsp.completion.enable(false, client.id, buffer) end
  end
end

local attached_as = {} ---@type table<integer, string> by buffer: the URI that the server knows

--- Attaches a buffer again after its name has changed: the server does not know its new URI. And if it had no name,
--- Neovim has deleted its autocommands.
local function follow_name(event)
  local old = attached_as[event.buf]
  if not old or old == vim.uri_from_bufnr(event.buf) or #state.clients(event.buf) == 0 then return end
  vim.schedule(function()
    for _, client in ipairs(api.nvim_buf_is_valid(event.buf) and state.clients(event.buf) or {}) do
      client:notify('textDocument/didClose', { textDocument = { uri = old } })
      lsp.buf_detach_client(event.buf, client.id)
    end
    lsp.enable(NAME)
  end)
end

local function attach(event)
  local client = assert(lsp.get_client_by_id(event.data.client_id))
  if client.name ~= NAME then return end
  attached_as[event.buf] = vim.uri_from_bufnr(event.buf)
  if state.is_paused then client:exec_cmd({ title = 'Pause', command = 'tinycopilot.pause' }, { bufnr = event.buf }) end
  patch(client)
  M.refresh(event.buf)
  if lsp.inline_completion then
    lsp.inline_completion.enable(true, { bufnr = event.buf })
    local keys = require 'tinycopilot.keys'
    api.nvim_buf_call(event.buf, keys.adapt)
    vim.schedule(function() -- after the user's FileType autocmds, which may map the same keys
      if api.nvim_buf_is_valid(event.buf) then keys.set(event.buf, M.options.keymaps) end
    end)
  end
  state.changed(client.id)
  state.ask_why_silent(client, event.buf)
end

--- Returns the server's program; nil if the user has set `cmd` to a function with vim.lsp.config.
local function find_program()
  local cmd = lsp.config[NAME].cmd
  return type(cmd) == 'table' and cmd[1] or nil
end

--- Reports a missing program, which Neovim does not report.
local function check_program()
  local program = find_program()
  if not program or vim.fn.executable(program) == 1 then return end
  local missing = 'program `%s` not found: install it, or set `cmd` to a list of its full path and arguments (:help tinycopilot)'
  tell(missing:format(program), vim.log.levels.ERROR)
end

--- Starts servers for open buffers.
function M.start()
  check_program()
  lsp.enable(NAME)
end

local exits_s = {} -- times of unexpected exits
local MAX_RESTARTS, WITHIN_S = 3, 180

--- Restarts a crashed server, unless it crashes repeatedly or at startup.
local function restart_after_crash(code, signal, id)
  local is_unexpected, had_started = state.forget(id)
  local is_enabled = not lsp.is_enabled or lsp.is_enabled(NAME) -- Neovim 0.11 lacks this function
  if not is_unexpected or not is_enabled or vim.v.exiting ~= vim.NIL then return end
  if signal == 15 or code == 128 + 15 then return end -- SIGTERM: Neovim has stopped it
  if not had_started then
    return tell('the server exits at startup: see :TinyCopilot log', vim.log.levels.ERROR)
  end
  if code == 0 and signal == 0 then return end -- it was told to exit
  local now = vim.uv.hrtime() / 1e9
  exits_s = vim.tbl_filter(function(exit_s) return now - exit_s < WITHIN_S end, exits_s)
  table.insert(exits_s, now)
  if #exits_s > MAX_RESTARTS then
    local often = 'the server exited %d times in %d minutes: see :TinyCopilot log; :TinyCopilot restart tries again'
    return tell(often:format(#exits_s, WITHIN_S / 60), vim.log.levels.ERROR)
  end
  vim.defer_fn(function()
    if vim.v.exiting == vim.NIL then M.start() end
  end, 500)
end

--- Reports a program that is not a language server. (Neovim disconnects from it, and shows its own message.)
local function on_error(code)
  if code ~= lsp.rpc.client_errors.INVALID_SERVER_MESSAGE then return end
  tell(('`%s` is not a language server: fix `cmd` (:help tinycopilot)'):format(find_program() or 'cmd'), vim.log.levels.ERROR)
end

M.patience_ms = 20000 -- time limit for the first response of a server

--- Reports a program that never responds; Neovim would wait for it forever.
local function check_response(_, config)
  vim.defer_fn(function()
    local function waits(client)
      return client.config == config and not client.initialized and not client:is_stopped()
    end
    if not vim.iter(state.started()):any(waits) then return end
    local silent = '`%s` does not respond: is `cmd` a language server? (:help tinycopilot)'
    tell(silent:format(find_program() or 'cmd'), vim.log.levels.ERROR)
  end, M.patience_ms)
end

--- Starts servers for buffers of the enabled file types, and detaches all others.
local function watch()
  local group, filetypes = api.nvim_create_augroup(NAME .. '.types', {}), M.filetypes()
  api.nvim_create_autocmd('FileType', { group = group, pattern = filetypes or '*', callback = check_program })
  if vim.list_contains(filetypes or { vim.bo.filetype }, vim.bo.filetype) then check_program() end
  lsp.enable(NAME)
end

--- Changes settings, in running servers and in those that start later. Invalid values are reported and ignored.
function M.set(settings)
  if not M.options then return end -- setup has reported the reason
  vim.validate('settings', settings, 'table')
  M.forget_reported() -- the server may report the same problem again
  settings = options.usable(settings, warn)
  local all = vim.tbl_extend('force', M.options.settings, settings)
  M.options.settings = all
  local config = lsp.config[NAME] -- assigned as a whole: merging could neither empty a list nor set nil
  config.filetypes, config.init_options, config.settings[NAME] = M.filetypes(), all, all
  lsp.config[NAME] = config
  for _, client in ipairs(state.clients()) do
    client.settings[NAME] = all
    client:notify('workspace/didChangeConfiguration', { settings = client.settings })
  end
  if settings.languages then watch() end
end

--- Generates the tags of :help if they are missing or outdated. (Most plugin managers do this, too.)
local function make_help_tags()
  local file = debug.getinfo(1, 'S').source:sub(2)
  local folder = vim.fs.joinpath(vim.fs.dirname(vim.fs.dirname(vim.fs.dirname(file))), 'doc')
  local function changed_s(name)
    local stat = vim.uv.fs_stat(vim.fs.joinpath(folder, name))
    return stat and stat.mtime.sec or 0
  end
  if changed_s 'tags' < changed_s 'tinycopilot.txt' then pcall(vim.cmd.helptags, vim.fn.fnameescape(folder)) end
end

--- Whether another buffer without a name is attached. Neovim gives both the same URI, so their texts would be mixed.
local function is_second_unnamed(buffer)
  local function is_other(each) return each ~= buffer and api.nvim_buf_get_name(each) == '' end
  local function has_other(client) return vim.iter(vim.tbl_keys(client.attached_buffers)):any(is_other) end
  return api.nvim_buf_get_name(buffer) == '' and vim.iter(state.started()):any(has_other)
end

--- Starts the plugin. `given` overrides the defaults in options.lua.
function M.setup(given)
  if vim.fn.has('nvim-0.11') == 0 then return warn 'requires Neovim 0.12 (ghost text) or 0.11 (popup menu)' end
  M.problems = {}
  M.options = options.with_defaults(given or {}, function(problem)
    table.insert(M.problems, problem)
    warn(problem)
  end)

  lsp.config(NAME, {
    cmd = M.options.cmd,
    cmd_cwd = vim.uv.os_homedir(), -- not the project, from which `python -m` would import
    settings = { [NAME] = {} },
    handlers = handlers,
    before_init = check_response,
    on_error = on_error,
    on_exit = vim.schedule_wrap(restart_after_crash),
    root_dir = function(buffer, on_dir)
      if not is_second_unnamed(buffer) then on_dir(nil) end -- nil: found by `root_markers`
    end,
    root_markers = { '.git', 'pyproject.toml' },
  })

  local group = api.nvim_create_augroup(NAME, {})
  api.nvim_create_autocmd('LspAttach', { group = group, callback = attach })
  api.nvim_create_autocmd({ 'BufAdd', 'BufFilePost' }, { group = group, callback = follow_name })
  api.nvim_create_autocmd('LspDetach', { group = group, callback = function() vim.schedule(state.changed) end })
  if lsp.inline_completion then
    require('tinycopilot.keys').follow_window(group)
    require('tinycopilot.macros').follow(group)
  end
  require('tinycopilot.commands').register()
  make_help_tags()
  M.set(M.options.settings)
end

return M
