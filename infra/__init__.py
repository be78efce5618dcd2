"""Everything that Perminute needs in Azure, and the tools of those who deploy and run it."""
