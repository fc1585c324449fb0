SELECT kin_tr.create_task(:attrs::jsonb);
