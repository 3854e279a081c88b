-- :checkhealth tinycopilot: check the server, the model and the settings.
local M = {}

--- Returns the version of the program `tinycopilot` next to the server, as ', version 1.2.3'; '' if it is missing.
local function version_beside(server)
  local program = vim.fs.joinpath(vim.fs.dirname(server), 'tinycopilot')
  if vim.fn.executable(program) == 0 then return '' end
  local started, run = pcall(vim.system, { program, '--version' }, { text = true, timeout = 10000 })
  local version = started and (run:wait().stdout or ''):match('%d[%w.]*')
  return version and ', version ' .. version or ''
end

local function check_server(health, program)
  local path = vim.fn.exepath(program)
  if path == '' then
    health.error(('program `%s` not found'):format(program), {
      'Install the Python package tinycopilot and put its programs on the PATH,',
      "or set its full path: require('tinycopilot').setup { cmd = { '/full/path/to/tinycopilot-server' } }",
    })
  else
    health.ok(('server: `%s`%s'):format(path, version_beside(path)))
  end
end

--- Checks the model's path; the server itself reports only whether it is ready.
local function check_model(health, settings)
  if settings.modelPath == '' then
    return health.info 'model: chosen by the server; `tinycopilot doctor` shows which one, and why'
  end
  local path = vim.fs.normalize(settings.modelPath)
  if vim.fn.filereadable(path) == 1 then return health.ok(('model: `%s`'):format(path)) end
  health.error(('model: file `%s` not found'):format(path), { 'Correct the `modelPath` setting, or leave it empty.' })
end

local function check_client(health, client)
  local state = require('tinycopilot.state').of(client.id)
  local folder, buffers = client.root_dir or 'no project', vim.tbl_count(client.attached_buffers)
  local version = vim.tbl_get(client, 'server_info', 'version') or 'unknown'
  local line = ('client %d (server %s) in %s, buffers: %d, '):format(client.id, version, folder, buffers)
  line = line .. 'state: ' .. state.state .. (state.percentage and (' %d%%'):format(state.percentage) or '')
  if state.message ~= '' then line = line .. ': ' .. state.message end
  if state.state == 'error' then
    health.error(line, { 'Fix the problem, then run :TinyCopilot restart.', 'See :TinyCopilot log for details.' })
  elseif state.state == 'off' then
    health.warn(line, { 'Run :TinyCopilot resume, or check the `enabled` setting.' })
  else
    health.ok(line)
  end
end

--- Whether Neovim should start the server for this buffer.
local function is_wanted(buffer, filetypes)
  local filetype = vim.bo[buffer].filetype
  local is_file = vim.api.nvim_buf_is_loaded(buffer) and vim.bo[buffer].buftype == '' and filetype ~= ''
  return is_file and (not filetypes or vim.list_contains(filetypes, filetype))
end

--- `filetypes`: nil for all file types.
local function check_clients(health, filetypes)
  local clients = require('tinycopilot.state').clients
  for _, client in ipairs(clients()) do
    check_client(health, client)
  end
  local wanted = vim.tbl_filter(function(buffer) return is_wanted(buffer, filetypes) end, vim.api.nvim_list_bufs())
  local without = vim.tbl_filter(function(buffer) return #clients(buffer) == 0 end, wanted)
  if #without > 0 then
    health.warn(('the server is not attached to %d of %d matching buffers'):format(#without, #wanted), {
      'Check that the `cmd` option names a language server, and give it a second to start.',
      'Try :TinyCopilot restart; see :TinyCopilot log for details.',
    })
  elseif #clients() == 0 then
    local languages = table.concat(require('tinycopilot').options.settings.languages, ',')
    health.info(('no client: the server starts when you open a file in a language of `languages` (%s)'):format(languages))
  end
end

function M.check()
  local health = vim.health
  if vim.fn.has('nvim-0.11') == 0 then
    local complain = health and (health.error or health.report_error) or vim.fn['health#report_error'] -- depends on Neovim's version
    return complain('this version of Neovim is too old', { 'Neovim 0.12 is required, or 0.11 for the popup menu.' })
  end
  health.start('tinycopilot')

  local version = tostring(vim.version())
  if vim.lsp.inline_completion then
    health.ok(('Neovim %s: ghost text'):format(version))
  else
    health.warn(('Neovim %s: popup menu; ghost text requires 0.12'):format(version))
  end

  local tinycopilot = require('tinycopilot')
  if not tinycopilot.options then
    return health.error('not set up', { "Add require('tinycopilot').setup {} to your configuration." })
  end
  for _, problem in ipairs(tinycopilot.problems) do
    health.warn(problem, { 'Correct the argument of setup. The default is used instead.' })
  end
  check_server(health, tinycopilot.options.cmd[1])
  check_model(health, tinycopilot.options.settings)
  check_clients(health, tinycopilot.filetypes())
end

return M
