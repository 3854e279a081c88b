-- The :TinyCopilot command: its subcommands, their messages and completion.
local M = {}
local state, options = require 'tinycopilot.state', require 'tinycopilot.options'
local commands = {} -- by subcommand; called with the words after it, and whether there is a `!`
local NAME = 'tinycopilot'

local function say(message, level) vim.notify(NAME .. ': ' .. message, level) end

local function complain(message) say(message, vim.log.levels.ERROR) end

local NOT_RUNNING = 'the server is not running: open a code file, or use :TinyCopilot restart'

--- Returns the client of the current buffer, or else of the last used one; reports an error if none is running.
local function find_client()
  local client, last_s = state.clients(0)[1], -1
  for _, info in ipairs(client and {} or vim.fn.getbufinfo { bufloaded = 1 }) do
    local other = state.clients(info.bufnr)[1]
    if other and info.lastused >= last_s then client, last_s = other, info.lastused end
  end
  if not client then complain(NOT_RUNNING) end
  return client
end

--- Returns the client of the current buffer, or else the only one whose folder contains the buffer (or, if it has no
--- file, the working folder); reports an error if there is none. For commands that must not affect another project.
local function find_client_here()
  local client, file = state.clients(0)[1], vim.api.nvim_buf_get_name(0)
  if client or #state.clients() == 0 then return client or complain(NOT_RUNNING) end
  local place = vim.bo.buftype == '' and file ~= '' and file or vim.fn.getcwd()
  local around = vim.tbl_filter(function(each)
    return each.root_dir ~= nil and vim.fs.relpath(each.root_dir, place) ~= nil
  end, state.clients())
  if #around == 1 then return around[1] end
  complain 'off here: go to a file of the project where it is on'
end

--- Runs a command of the server, and calls `callback` with its result.
local function ask(client, command, arguments, callback)
  local params = { command = NAME .. '.' .. command, arguments = arguments }
  client:request('workspace/executeCommand', params, function(err, answer)
    if err then return complain(err.message) end
    callback(answer or {})
  end)
end

local function say_status(status)
  say(status.state .. ((status.message or '') == '' and '' or ': ' .. status.message))
end

--- Returns a message about a buffer whose file type is not in `languages`.
local function language_is_off()
  local filetype = vim.bo.filetype
  if filetype == '' then return 'this buffer has no file type' end
  return ('off in %s: turn it on with :TinyCopilot toggle filetype'):format(filetype)
end

function commands.status()
  local message, now = require(NAME).cut, state.here()
  local is_status = now and now.message ~= '' and message and message:find(now.message, 1, true)
  if message and not is_status then vim.notify(message) end
  require(NAME).cut = nil
  if not now then
    if not state.has_language(0) then return say(language_is_off()) end
    if #state.started() == 0 then return say(NOT_RUNNING) end
    local is_unnamed = vim.api.nvim_buf_get_name(0) == ''
    return say('not attached to this buffer' .. (is_unnamed and ': save it first (only one buffer without a name is attached)' or ''))
  end
  local percentage = now.percentage and (' %d%%'):format(now.percentage) or ''
  say_status { state = now.state .. percentage, message = now.message }
end

local snooze_timer ---@type uv.uv_timer_t? ends the snooze

--- Pauses or resumes all servers, including those that start later. `until_s`: end of a snooze, in seconds since 1970.
local function set_paused(is_paused, until_s)
  if snooze_timer and not snooze_timer:is_closing() then snooze_timer:close() end
  state.is_paused, state.paused_until, snooze_timer = is_paused, until_s, nil
  local clients = state.clients()
  local function report(status)
    say_status(until_s and { state = 'off', message = os.date('paused until %H:%M', until_s) } or status)
  end
  for i, client in ipairs(clients) do
    ask(client, is_paused and 'pause' or 'resume', nil, i == #clients and report or function() end)
  end
  if #clients == 0 then report { state = is_paused and 'off' or 'resumed', message = is_paused and 'paused' or '' } end
end

function commands.help() vim.cmd.help 'tinycopilot' end

function commands.pause() set_paused(true) end
function commands.resume() set_paused(false) end

--- Returns a number of minutes; reports an error and returns nil if `word` is invalid.
local function minutes_of(command, word)
  local minutes = tonumber(word)
  if minutes and 0 < minutes and minutes < math.huge then return minutes end
  complain(('%s: expected a number of minutes, not %s'):format(command, word))
end

--- Resumes at a time, in seconds since 1970. Reads the clock every 30 s: timers stop while the computer sleeps.
local function resume_at(until_s)
  local left_s = until_s - os.time()
  if left_s <= 0 then return set_paused(false) end
  snooze_timer = vim.defer_fn(function() resume_at(until_s) end, math.min(left_s, 30) * 1000)
end

--- Pauses for 5 minutes, or another number of minutes; extends a snooze that has not ended.
function commands.snooze(words)
  local minutes = minutes_of('snooze', words[1] or 5)
  if not minutes then return end
  if state.is_paused and not state.paused_until then return say 'already paused, until :TinyCopilot resume' end
  local now = os.time()
  local until_s = math.floor(math.max(state.paused_until or now, now) + minutes * 60)
  set_paused(true, until_s)
  resume_at(until_s)
end

local function refresh(buffers)
  for _, buffer in ipairs(buffers) do
    if #state.clients(buffer) > 0 then require(NAME).refresh(buffer) end
  end
  state.changed()
end

local toggles = {}
function toggles.all() set_paused(not state.is_paused) end

function toggles.buffer()
  if not state.has_language(0) then return complain(language_is_off()) end
  say(state.toggle_buffer() and 'on in this buffer' or 'off in this buffer')
  refresh { vim.api.nvim_get_current_buf() }
end

function toggles.filetype()
  local filetype = vim.bo.filetype
  if filetype == '' then return complain(language_is_off()) end
  if not state.has_language(0) then -- the setting excludes it: change the setting in this Neovim
    local function is_other(word) return word ~= '-' .. filetype end
    local languages = vim.tbl_filter(is_other, require(NAME).options.settings.languages)
    require(NAME).set { languages = vim.list_extend(languages, { filetype }) }
    return say('on in ' .. filetype)
  end
  say((state.toggle_filetype() and 'on in ' or 'off in ') .. filetype)
  refresh(vim.tbl_filter(vim.api.nvim_buf_is_loaded, vim.api.nvim_list_bufs()))
end

function commands.toggle(words)
  local toggle = toggles[words[1] or 'all']
  if not toggle then return complain('toggle: expected all, buffer or filetype, not ' .. words[1]) end
  toggle()
end

--- Converts a word to the type of `now`, the setting's value; returns the word if that fails.
local function read(name, word, now)
  if type(now) == 'number' then return tonumber(word) or word end
  if type(now) == 'table' then return vim.split(word, '%s*,%s*', { trimempty = true }) end
  local may_be_boolean = options.is_switch(name)
  if may_be_boolean and (word == 'true' or word == 'false') then return word == 'true' end
  return word
end

local function write(value) return type(value) == 'table' and table.concat(value, ',') or tostring(value) end

--- Shows a text in a window; `q` closes it.
local function show(title, text)
  if vim.fn.getcmdwintype() ~= '' then return complain 'close the command-line window first' end
  local name = NAME .. '://' .. title
  local buffer = vim.fn.bufadd(name)
  vim.fn.bufload(buffer)
  vim.bo[buffer].buftype, vim.bo[buffer].bufhidden, vim.bo[buffer].swapfile = 'nofile', 'wipe', false
  local lines = vim.split(text, '\n')
  vim.bo[buffer].modifiable = true
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
  vim.bo[buffer].modifiable = false
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buffer, desc = 'close' })
  local window = vim.fn.bufwinid(buffer)
  if window >= 0 then return vim.api.nvim_set_current_win(window) end
  vim.cmd(('botright %dsplit'):format(math.min(#lines + 1, 15)))
  vim.api.nvim_win_set_buf(0, buffer)
end

--- Returns all settings, one per line, in the form that `:TinyCopilot set` takes.
local function all_settings()
  local lines = {}
  for name, value in pairs(require(NAME).options.settings) do
    table.insert(lines, name .. '=' .. write(value))
  end
  table.sort(lines)
  return table.concat(lines, '\n')
end

--- Like Vim's :set: without arguments, shows all settings; `name` shows one, `name=value` or `name value` sets it.
function commands.set(words)
  if not words[1] then return show('settings', all_settings()) end
  local name, sign, word = table.concat(words, ' '):match '^(%w*)%s*(=?)%s*(.*)$'
  local now = require(NAME).options.settings[name]
  if now == nil then return complain(('set: unknown setting `%s`; example: set eagerness=0.9'):format(name)) end
  if sign == '' and word == '' then return say(name .. '=' .. write(now)) end
  local good = options.usable({ [name] = read(name, word, now) }, complain)
  if good[name] == nil then return end
  require(NAME).set(good)
  say(name .. '=' .. write(good[name]))
end

--- Runs `tinycopilot eval` on this project in a terminal: measures the share of keystrokes that suggestions would save.
function commands.eval(words)
  local folder = words[1] and vim.fs.normalize(words[1])
  if not folder then
    local client = find_client_here()
    if not client then return end
    folder = client.root_dir or vim.fn.getcwd()
  end
  local server = vim.fn.exepath(require(NAME).options.cmd[1])
  if server == '' then return complain(('eval: program `%s` not found'):format(require(NAME).options.cmd[1])) end
  local function beside(path) return vim.fs.joinpath(vim.fs.dirname(path), NAME) end
  local programs = { beside(server), beside(vim.fn.resolve(server)) } -- either may be a link to the other's folder
  local program = vim.iter(programs):find(function(path) return vim.fn.executable(path) == 1 end)
  if not program then return complain('eval: no program `tinycopilot` next to ' .. server) end
  local extension = state.has_language(0) and vim.fn.expand '%:e' or ''
  local command = { program, 'eval', folder }
  if extension ~= '' then vim.list_extend(command, { '--ext', extension }) end
  vim.cmd 'botright new'
  vim.fn.jobstart(command, { term = true })
end

function commands.train(words)
  local minutes = minutes_of('train', words[1] or 5)
  if not minutes then return end
  local client = find_client_here()
  if not client then return end
  ask(client, 'trainWorkspace', { { minutes = minutes } }, function(answer) -- the server reports problems itself
    if answer.started then say(('training for %g min; :TinyCopilot cancel stops it'):format(minutes)) end
  end)
end

function commands.cancel()
  local function trains(each) return state.of(each.id).state == 'training' end
  local client = vim.iter(state.clients(0)):find(trains) or vim.iter(state.clients()):find(trains) or find_client()
  if not client then return end
  ask(client, 'cancelTraining', nil, function(answer)
    if answer.cancelled then state.on_training(client.id, { state = 'cancelled' }) end -- the process still has to exit
    say(answer.cancelled and 'training cancelled; the model is unchanged' or 'no training is running')
  end)
end

--- Opens in the browser the page that explains the last suggestion, or why there was none.
function commands.why()
  local client = find_client()
  if not client then return end
  ask(client, 'explain', nil, function(answer) -- without a page, the server reports the reason itself
    if (answer.path or '') == '' then return end
    say('page: ' .. answer.path) -- vim.ui.open doesn't report that there is no browser, as over SSH
    local _, problem = vim.ui.open(answer.path)
    if problem then complain(('open %s in your browser: Neovim could not (%s)'):format(answer.path, problem)) end
  end)
end

function commands.stats()
  local client = find_client()
  if client then ask(client, 'statistics', nil, function(answer) show('statistics', answer.text or '') end) end
end

function commands.knowledge()
  local client = find_client()
  if client then ask(client, 'knowledge', nil, function(answer) show('knowledge', answer.text or '') end) end
end

--- Asks for confirmation, unless there is a `!`.
local function is_sure(question, bang) return bang or vim.fn.confirm(question, '&Yes\n&No', 2) == 1 end

commands['forget-stats'] = function(_, bang)
  local client = find_client()
  if client and is_sure('Delete the statistics?', bang) then
    ask(client, 'forgetStatistics', nil, function() say 'statistics deleted' end)
  end
end

commands['forget-file'] = function()
  local client = find_client_here()
  if not client then return end
  if vim.api.nvim_buf_get_name(0) == '' then return complain 'this buffer has no file' end
  local buffer = vim.api.nvim_get_current_buf()
  ask(client, 'forgetFile', { vim.uri_from_bufnr(buffer) }, function(answer)
    if (answer.forgotten or '') ~= '' then say('removed, and ignored until a restart: ' .. answer.forgotten) end
    state.ask_why_silent(client, buffer)
  end)
end

commands['forget-workspace'] = function(_, bang)
  local client = find_client_here()
  if not client then return end
  local place = client.root_dir or 'files outside of projects'
  if is_sure(('Delete everything indexed, learned and trained in %s?'):format(place), bang) then
    ask(client, 'forgetWorkspace', nil, function(answer)
      say('deleted; nothing is stored until a restart: ' .. table.concat(answer.forgotten or {}, ', '))
    end)
  end
end

function commands.reload()
  local client = find_client()
  if not client then return end
  ask(client, 'reloadModel', nil, function(answer) -- the server reports problems itself
    if answer.reloaded then say 'model reloaded' end
  end)
end

--- Opens the server's log; if no server is running, Neovim's LSP log, which contains the reason.
function commands.log()
  local client = state.clients(0)[1] or state.clients()[1]
  local function open(path) vim.cmd.tabedit(vim.fn.fnameescape(path)) end
  if not client then return open(vim.lsp.log.get_filename()) end
  vim.cmd 'tab split' -- the server asks Neovim to show it, and Neovim uses the current window
  ask(client, 'openLog', nil, function() end)
end

function commands.restart()
  local function have_exited() return #state.started() == 0 end
  for _, force in ipairs { false, true } do
    for _, client in ipairs(state.started()) do
      state.mark_stopping(client.id)
      client:stop(force)
    end
    if vim.wait(1000, have_exited, 20) then break end
  end
  require(NAME).forget_reported()
  require(NAME).start()
end

local function with_prefix(prefix, names)
  table.sort(names)
  return vim.tbl_filter(function(name) return vim.startswith(name, prefix) end, names)
end

local argument_completions = { -- by subcommand
  toggle = function() return vim.tbl_keys(toggles) end,
  set = function()
    local function with_sign(name) return name .. '=' end
    return vim.tbl_map(with_sign, vim.tbl_keys(require(NAME).options.settings))
  end,
}

local function complete(start, line)
  local words = vim.split(line:match '.*Tiny%a*!?%s+(.*)$' or '', '%s+') -- other commands may precede it
  if #words == 1 then return with_prefix(start, vim.tbl_keys(commands)) end
  return #words == 2 and argument_completions[words[1]] and with_prefix(start, argument_completions[words[1]]()) or {}
end

local max_arguments = { eval = 1, toggle = 1, set = math.huge, snooze = 1, train = 1 } -- 0 for all other subcommands

function M.register()
  local attributes = { nargs = '*', bang = true, bar = true, complete = complete, desc = 'tinycopilot: pause, train and more' }
  vim.api.nvim_create_user_command('TinyCopilot', function(call)
    local name, words = call.fargs[1] or 'status', vim.list_slice(call.fargs, 2)
    if not commands[name] then return complain(('unknown command: %s; see :help :TinyCopilot'):format(name)) end
    local unknown = words[(max_arguments[name] or 0) + 1]
    if unknown then return complain(('%s takes no `%s`'):format(name, unknown)) end
    commands[name](words, call.bang)
  end, attributes)
end

return M
