"""What infra/ would make in Azure, as far as that can be seen without Azure."""
