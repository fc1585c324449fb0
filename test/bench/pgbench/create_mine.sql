SELECT kin_tr.create_task(workspace => 'Mine');
